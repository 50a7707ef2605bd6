/* SPDX-License-Identifier: Apache-2.0
 * libsodium aborts when a buffer is too small and takes a given length as a capacity: lengths are settled here. */
#include "tlog/tlog.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

void fg_tlog_base64(const void *data, size_t size, char *buf, size_t len)
{
        bool fits = size <= SIZE_MAX / 2 && len >= FG_TLOG_BASE64(size);
        if (fits)
                sodium_bin2base64(buf, len, data, size, sodium_base64_VARIANT_ORIGINAL);
        else if (len)
                buf[0] = '\0';
}

/* What is decoded is encoded again and compared, so that every value has one text whatever the decoder lets through:
 * libsodium 1.0.18 takes every byte above 0x7f for a '/' where char is signed. */
int fg_tlog_unbase64(const char *text, size_t length, void *ret, size_t want)
{
        uint8_t data[FG_TLOG_NOTE_MAX];
        char again[FG_TLOG_BASE64(FG_TLOG_NOTE_MAX)];
        size_t got = 0;
        if (want > sizeof(data) || length != FG_TLOG_BASE64(want) - 1)
                return -EBADMSG;
        int r = sodium_base642bin(data, sizeof(data), text, length, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL);
        if (r != 0 || got != want)
                return -EBADMSG;
        fg_tlog_base64(data, want, again, sizeof(again));
        if (memcmp(again, text, length) != 0)
                return -EBADMSG;
        memcpy(ret, data, want);
        return 0;
}
