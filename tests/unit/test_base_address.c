/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/address.h"

#include <errno.h>

static void good(void **state)
{
        static const struct {
                const char *text, *host, *again;
                uint16_t port;
        } row[] = {
                {"node-7:8443", "node-7", "node-7:8443", 8443},
                {"Node.Example.ORG:1", "node.example.org", "node.example.org:1", 1},
                {"192.0.2.1:65535", "192.0.2.1", "192.0.2.1:65535", 65535},
                {"[::1]:443", "::1", "[::1]:443", 443},
                {"[2001:DB8::1]:443", "2001:db8::1", "[2001:db8::1]:443", 443},
                {":8443", "", ":8443", 8443},
                {"localhost:0", "localhost", "localhost:0", 0},
                {"h_1:80", "h_1", "h_1:80", 80},
                {"7zip.example:80", "7zip.example", "7zip.example:80", 80},
        };
        char text[FG_ADDRESS_MAX];
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_address a;
                struct fg_error err = {0};
                if (fg_address_parse("listen", row[i].text, 0, &a, &err) != 0)
                        fail_msg("%s", err.text);
                assert_string_equal(a.host, row[i].host);
                assert_int_equal(a.port, row[i].port);
                assert_string_equal(fg_address_format(&a, text), row[i].again);
        }
}

static void bad(void **state)
{
        static const char *const row[] = {
                "", "8443", "host", "host:", "host:x", "host:65536", "host:-1", "host:+1", "host: 1", "host:1 ", "host:99999999999999999999",
                "::1", "::1:443", "[::1]", "[::1", "[::1]443", "[::1]:", "[host]:1", "[127.0.0.1]:1", "[]:1", "[fe80::1%eth0]:1", "a b:1",
                "-host:1", "host/x:1", "http://host:1", "user@host:1", "host\n:1", "a..b:1", ".a:1", "256.1.1.1:1", "1:1", "1.2.3:1",
                "0x7f.1:1", "h\xc3\xb6st:1", "*:1", "host:1:2", "host:0x1"};
        char longest[400];
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_address a = {.port = 7};
                struct fg_error err = {0};
                if (fg_address_parse("listen", row[i], 0, &a, &err) != -EINVAL)
                        fail_msg("\"%s\" was taken", row[i]);
                assert_int_equal(a.port, 7);
                assert_non_null(strstr(err.text, "listen"));
        }
        memset(longest, 'a', sizeof longest);
        snprintf(longest + 300, 10, ":1");
        assert_int_equal(fg_address_parse("listen", longest, 0, &(struct fg_address){0}, NULL), -EINVAL);
        snprintf(longest + 64, 10, ":1"); /* one label */
        assert_int_equal(fg_address_parse("listen", longest, 0, &(struct fg_address){0}, NULL), -EINVAL);
}

static void default_port(void **state)
{
        struct fg_address a;
        assert_int_equal(fg_address_parse("URL", "host", 443, &a, NULL), 0);
        assert_int_equal(a.port, 443);
        assert_int_equal(fg_address_parse("URL", "[::1]", 443, &a, NULL), 0);
        assert_string_equal(a.host, "::1");
        assert_int_equal(fg_address_parse("URL", "host:8443", 443, &a, NULL), 0);
        assert_int_equal(a.port, 8443);
        assert_int_equal(fg_address_parse("URL", "host:", 443, &a, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(default_port)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
