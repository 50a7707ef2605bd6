/* SPDX-License-Identifier: Apache-2.0
 * DIR/status: "fastgpu-status 1\n", a line "name value" for each field, "end\n". Blank lines may follow: the runner's file has a fixed
 * size, so that a full disk cannot keep it from saying how the job ended. */
#include "base/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "fastgpu-status 1\n"

const char *const fg_job_state_names[] = {"starting", "running", "suspended", "stopping", "ended", NULL};
const char *const fg_job_why_names[] = {"none",        "exit",         "signal", "time-limit", "stopped",
                                        "exec-failed", "setup-failed", "lost",   NULL};
static const char *const group_names[] = {"auto", "v2", "v1", "none", NULL};

enum kind { CHOICE, INT, NUMBER, TEXT };
static const struct row {
        const char *name;
        enum kind kind;
        size_t at, size;
        const char *const *choices;
} rows[] = {
#define ROW(name, kind, field, choices) {name, kind, offsetof(struct fg_job_status, field), sizeof(((struct fg_job_status *)0)->field), choices}
        ROW("state", CHOICE, state, fg_job_state_names), ROW("why", CHOICE, why, fg_job_why_names),
        ROW("group", CHOICE, group, group_names),        ROW("pid", INT, pid, NULL),
        ROW("pid-start", NUMBER, pid_start, NULL),       ROW("code", INT, code, NULL),
        ROW("signal", INT, signal, NULL),                ROW("error", INT, error, NULL),
        ROW("started", NUMBER, started, NULL),           ROW("ended", NUMBER, ended, NULL),
        ROW("ran", NUMBER, ran, NULL),                   ROW("cpu", NUMBER, cpu, NULL),
        ROW("max-rss", NUMBER, max_rss, NULL),           ROW("log", NUMBER, log, NULL),
        ROW("dropped", NUMBER, dropped, NULL),           ROW("boot", TEXT, boot, NULL),
        ROW("cgroup", TEXT, cgroup, NULL),               ROW("pids", TEXT, pids, NULL),
        ROW("text", TEXT, text, NULL),
#undef ROW
};
#define ROWS (sizeof rows / sizeof *rows)

_Static_assert(sizeof(enum fg_job_state) == sizeof(int) && sizeof(pid_t) == sizeof(int), "read and written as int");

static int write_value(const struct row *row, const char *at, char *out, size_t size)
{
        int value;
        uint64_t number;
        memcpy(&value, at, sizeof value);
        switch (row->kind) {
        case CHOICE:
                return snprintf(out, size, "%s %s\n", row->name, row->choices[value]);
        case INT:
                return snprintf(out, size, "%s %d\n", row->name, value);
        case NUMBER:
                memcpy(&number, at, sizeof number);
                return snprintf(out, size, "%s %" PRIu64 "\n", row->name, number);
        default:
                return snprintf(out, size, "%s %s\n", row->name, at);
        }
}

size_t fg_job_status_write(const struct fg_job_status *status, char ret[FG_JOB_STATUS_MAX])
{
        size_t used = (size_t)snprintf(ret, FG_JOB_STATUS_MAX, HEADER);
        for (size_t i = 0; i < ROWS; i++) {
                char *line = ret + used;
                used += (size_t)write_value(&rows[i], (const char *)status + rows[i].at, line, FG_JOB_STATUS_MAX - used);
                for (char *c = line; c < ret + used - 1; c++)
                        if (*c == '\n')
                                *c = ' ';
        }
        return used + (size_t)snprintf(ret + used, FG_JOB_STATUS_MAX - used, "end\n");
}

static int read_integer(const char *text, int64_t min, int64_t max, int64_t *ret)
{
        char *end;
        if (*text != '-' && (*text < '0' || *text > '9'))
                return -EBADMSG;
        errno = 0;
        long long value = strtoll(text, &end, 10);
        if (errno || *end || value < min || value > max)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int read_value(const struct row *row, const char *text, char *at)
{
        int64_t value = 0;
        int narrow, r = 0;
        if (row->kind == TEXT) {
                if (strlen(text) >= row->size)
                        return -EBADMSG;
                strcpy(at, text);
                return 0;
        }
        if (row->kind == CHOICE) {
                while (row->choices[value] && strcmp(row->choices[value], text) != 0)
                        value++;
                r = row->choices[value] ? 0 : -EBADMSG;
        } else {
                r = row->kind == INT ? read_integer(text, -1, INT32_MAX, &value) : read_integer(text, 0, INT64_MAX, &value);
        }
        if (r < 0)
                return r;
        narrow = (int)value;
        if (row->size == sizeof narrow)
                memcpy(at, &narrow, sizeof narrow);
        else
                memcpy(at, &value, sizeof value);
        return 0;
}

int fg_job_status_read(const char *bytes, size_t size, struct fg_job_status *ret)
{
        struct fg_job_status status = {0};
        char text[FG_JOB_STATUS_MAX + 1], *at = text, *end;
        if (size > FG_JOB_STATUS_MAX || size < strlen(HEADER) || memchr(bytes, 0, size) || memcmp(bytes, HEADER, strlen(HEADER)) != 0)
                return -EBADMSG;
        memcpy(text, bytes, size);
        text[size] = 0;
        at += strlen(HEADER);
        for (size_t i = 0; i < ROWS; i++, at = end + 1) {
                size_t name = strlen(rows[i].name);
                end = strchr(at, '\n');
                if (!end || strncmp(at, rows[i].name, name) != 0 || at[name] != ' ')
                        return -EBADMSG;
                *end = 0;
                int r = read_value(&rows[i], at + name + 1, (char *)&status + rows[i].at);
                if (r < 0)
                        return r;
        }
        if (strncmp(at, "end\n", 4) != 0 || at[4 + strspn(at + 4, "\n")])
                return -EBADMSG;
        *ret = status;
        return 0;
}
