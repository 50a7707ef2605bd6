/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/sites/sites.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *fgi_sites_money(uint64_t micro, char *buf, size_t len)
{
        snprintf(buf, len, "%" PRIu64 ".%06" PRIu64, micro / 1000000, micro % 1000000);
        for (size_t n = strlen(buf); buf[n - 1] == '0' && buf[n - 3] != '.'; n--)
                buf[n - 1] = 0;
        return buf;
}

/* Seconds come from people, who may write any number of them. */
uint64_t fgi_sites_price(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish)
{
        unsigned __int128 cost = (unsigned __int128)offer->price_micro * (wish->seconds ? wish->seconds : 3600) / 3600;
        return cost < INT64_MAX ? (uint64_t)cost : INT64_MAX;
}

/* How many such vGPUs a node holds. */
static uint64_t room(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish)
{
        uint64_t each = UINT64_MAX;
        if (wish->memory)
                each = offer->memory / wish->memory;
        if (wish->permille && 1000 / wish->permille < each)
                each = 1000 / wish->permille;
        return (each == UINT64_MAX ? 1 : each) * offer->gpus;
}

const char *fgi_sites_unfit(const struct fgi_sites_offer *offer, const struct fgi_sites_wish *wish, char *ret, size_t len)
{
        char has[40], wants[40];
        uint64_t cost = fgi_sites_price(offer, wish);
        if (wish->model && !strcasestr(offer->model, wish->model)) {
                snprintf(ret, len, "its GPU is %s", *offer->model ? offer->model : "not named");
                return ret;
        }
        if (room(offer, wish) < (wish->gpus ? wish->gpus : 1)) {
                if (wish->memory > offer->memory)
                        snprintf(ret, len, "its GPU has %s, and %s is wanted", offer->memory ? fg_size_format(offer->memory, has, sizeof has) : "no stated memory",
                                 fg_size_format(wish->memory, wants, sizeof wants));
                else
                        snprintf(ret, len, "a node has room for %" PRIu64 " such vGPUs", room(offer, wish));
                return ret;
        }
        if (wish->left_micro >= 0 && offer->price_micro && strcmp(wish->currency, offer->currency) != 0) {
                snprintf(ret, len, "its price is in %s and the budget in %s", offer->currency, wish->currency);
                return ret;
        }
        if (wish->left_micro >= 0 && cost > (uint64_t)wish->left_micro) {
                snprintf(ret, len, "it would cost %s %s, and %s are left of the budget", fgi_sites_money(cost, has, sizeof has), offer->currency,
                         fgi_sites_money((uint64_t)wish->left_micro, wants, sizeof wants));
                return ret;
        }
        return NULL;
}

void fgi_sites_order(const struct fgi_sites *sites, unsigned ret[FGI_SITES_OFFERS])
{
        for (unsigned i = 0; i < sites->count; i++) {
                unsigned at = i;
                for (; at > 0 && sites->offer[ret[at - 1]].price_micro > sites->offer[i].price_micro; at--)
                        ret[at] = ret[at - 1];
                ret[at] = i;
        }
}
