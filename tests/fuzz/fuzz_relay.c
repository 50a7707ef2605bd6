/* SPDX-License-Identifier: Apache-2.0
 * The head of a browser's request at the relay: what goes on to the daemon is one head, ends where it ends, says nothing of who asks, and
 * what goes on without the key names a file and nothing else. */
#include "cli/relay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_line(const char *head, const char *name)
{
        for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
                if (strncasecmp(line + 2, name, strlen(name)) == 0)
                        return true;
        return false;
}

static void check(const struct cli_relay_request *request)
{
        const char *head = request->head;
        size_t length = strlen(head);
        assert(length > 4 && strcmp(head + length - 4, "\r\n\r\n") == 0 && strstr(head, "\r\n\r\n") == head + length - 4);
        for (const char *c = head; *c; c++) {
                assert(*c != '\n' || (c > head && c[-1] == '\r'));
                assert(*c != '\r' || c[1] == '\n');
        }
        assert(has_line(head, "Connection: close") && !has_line(head, "Authorization:") && !has_line(head, "Cookie:") && !has_line(head, "Upgrade:"));
        if (request->kind != CLI_RELAY_FILE)
                return;
        const char *path = strchr(head, ' ') + 1;
        size_t end = strcspn(path, " ");
        assert(strncmp(head, "GET ", 4) == 0 || strncmp(head, "HEAD ", 5) == 0);
        assert((end == 1 || strncmp(path, "/assets/", 8) == 0) && !memmem(path, end, "..", 2) && !memchr(path, '%', end));
        assert(!has_line(head, "Content-Length") && !has_line(head, "Transfer-Encoding"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cli_relay_request request;
        char *head = strndup((const char *)data, size);
        assert(head);
        assert(cli_relay_judge(head, 8123, &request) == 0);
        if (request.kind == CLI_RELAY_REFUSE)
                assert(!request.head && request.status >= 400 && request.why && request.type);
        else
                check(&request);
        free(request.head);
        free(head);
        return 0;
}
