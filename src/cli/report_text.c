/* SPDX-License-Identifier: Apache-2.0
 * Texts and numbers as they may stand in a page. */
#include "cli/report.h"

#include "base/utf8.h"
#include "sched/money.h"

#include <string.h>

#define TEXT_MAX 200u /* characters of one text of others */

/* What turns the direction of writing, or cannot be seen, would make a name look like another. */
static bool is_unseen(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || c >= 0xe0000;
}

static void put_char(FILE *out, const char *at, size_t size, uint32_t code)
{
        switch (code) {
        case '&':
                fputs("&amp;", out);
                break;
        case '<':
                fputs("&lt;", out);
                break;
        case '>':
                fputs("&gt;", out);
                break;
        case '"':
                fputs("&quot;", out);
                break;
        case '\'':
                fputs("&#39;", out);
                break;
        default:
                fwrite(at, 1, size, out);
        }
}

void cli_report_put(FILE *out, const char *text)
{
        fputs("<bdi>", out);
        for (unsigned n = 0; *text; n++) {
                uint32_t code = 0;
                size_t size = fg_utf8_decode(text, FG_UTF8_MAX, &code);
                if (n == TEXT_MAX) {
                        fputs("…", out);
                        break;
                }
                if (size == 0 || is_unseen(code))
                        fputs("\xef\xbf\xbd", out);
                else
                        put_char(out, text, size, code);
                text += size ? size : 1;
        }
        fputs("</bdi>", out);
}

const char *cli_report_nano(int64_t nano, const char *currency, char *buf, size_t len)
{
        unsigned decimals = fg_currency_decimals(currency);
        return fg_money_format(fg_money_round((fg_int128)nano * FG_PPMUS_PER_HOUR, decimals), decimals, buf, len);
}

const char *cli_report_coins(const char *amount, const char *currency, char *buf, size_t len)
{
        bool is_negative = *amount == '-';
        struct fg_error err = {0};
        int64_t nano;
        if (fg_price_parse(amount + is_negative, &nano, &err) < 0)
                snprintf(buf, len, "%s", amount);
        else
                cli_report_nano(is_negative ? -nano : nano, currency, buf, len);
        return buf;
}

void cli_report_put_money(FILE *out, const char *amount, const char *currency)
{
        char coins[64];
        fprintf(out, "<data class=\"money\" value=\"%s\">%s</data>", strspn(amount, "0123456789.-") == strlen(amount) ? amount : "",
                strspn(amount, "0123456789.-") == strlen(amount) ? cli_report_coins(amount, currency, coins, sizeof coins) : "?");
        fputc(' ', out);
        cli_report_put(out, currency);
}

const char *cli_report_bytes(double bytes, char *buf, size_t len)
{
        static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
        size_t i = 0;
        for (; bytes >= 1024 && i + 1 < sizeof unit / sizeof unit[0]; i++)
                bytes /= 1024;
        if (bytes < 10 && bytes != (double)(int)bytes)
                snprintf(buf, len, "%.2f %s", bytes, unit[i]);
        else if (bytes < 100 && bytes != (double)(int)bytes)
                snprintf(buf, len, "%.1f %s", bytes, unit[i]);
        else
                snprintf(buf, len, "%.0f %s", bytes, unit[i]);
        return buf;
}
