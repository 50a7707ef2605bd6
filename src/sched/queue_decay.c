/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/queue_decay.h"

/* 2^(-2^-(i+1)) in units of 2^-64: the binary digits of an exponent below 1. */
static const uint64_t root[32] = {
        0xb504f333f9de6484u, 0xd744fccad69d6af4u, 0xeac0c6e7dd24392fu, 0xf5257d152486cc2cu, 0xfa83b2db722a033au,
        0xfd3e0c0cf486c175u, 0xfe9e115c7b8f884cu, 0xff4ecb59511ec8a5u, 0xffa756521c8daed2u, 0xffd3a751c0f7e10cu,
        0xffe9d2b2f7db2756u, 0xfff4e91bff1b8c3eu, 0xfffa747ea0040664u, 0xfffd3a3b7814eb54u, 0xfffe9d1cc60ddab1u,
        0xffff4e8e25879bfau, 0xffffa7470363f451u, 0xffffd3a37dda0313u, 0xffffe9d1bdf703afu, 0xfffff4e8debe025eu,
        0xfffffa746f4fa150u, 0xfffffd3a37a3f8b0u, 0xfffffe9d1bd1065au, 0xffffff4e8de845aeu, 0xffffffa746f41377u,
        0xffffffd3a37a05e4u, 0xffffffe9d1bd01fcu, 0xfffffff4e8de80c0u, 0xfffffffa746f4051u, 0xfffffffd3a37a025u,
        0xfffffffe9d1bd011u, 0xffffffff4e8de808u,
};

uint64_t fg_queue_decay(uint64_t amount, uint64_t elapsed, uint64_t half_life)
{
        uint64_t halves, fraction, factor = UINT64_MAX; /* 1, in units of 2^-64 */

        if (half_life == 0 || amount == 0)
                return amount;
        halves = elapsed / half_life;
        if (halves >= 64)
                return 0;
        fraction = (uint64_t)(((unsigned __int128)(elapsed % half_life) << 32) / half_life);
        if (fraction == 0)
                return amount >> halves;
        for (unsigned i = 0; i < 32; i++)
                if (fraction >> (31 - i) & 1)
                        factor = (uint64_t)(((unsigned __int128)factor * root[i]) >> 64);
        return (uint64_t)(((unsigned __int128)amount * factor) >> 64) >> halves;
}
