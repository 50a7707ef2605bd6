/* SPDX-License-Identifier: Apache-2.0
 * DIR/spec: "fastgpu-job 1\n", then for each field "name LENGTH\nBYTES\n", in any order, then "end 0\n\n". Lengths in front, so that
 * nothing in a word or a variable needs escaping. */
#include "base/job.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER     "fastgpu-job 1\n"
#define NUMBER_MAX 24u

const char *const fg_job_group_names[] = {"auto", "v2", "v1", "none"};

enum kind { TEXT, NUMBER, WORD };
enum field { ID, UID, GID, CWD, ARG, ENV, TIME_LIMIT, GRACE, LOG_MAX, PIDS_MAX, GROUP, BACKGROUND, FIELDS };
static const struct row {
        const char *name;
        enum kind kind;
        uint64_t max;
} rows[FIELDS] = {
        [ID] = {"id", TEXT, 0},
        [UID] = {"uid", NUMBER, UINT32_MAX - 1},
        [GID] = {"gid", NUMBER, UINT32_MAX},
        [CWD] = {"cwd", TEXT, 0},
        [ARG] = {"arg", WORD, 0},
        [ENV] = {"env", WORD, 0},
        [TIME_LIMIT] = {"time-limit", NUMBER, FG_JOB_TIME_MAX},
        [GRACE] = {"grace", NUMBER, FG_JOB_TIME_MAX},
        [LOG_MAX] = {"log-max", NUMBER, 1ull << 50},
        [PIDS_MAX] = {"pids-max", NUMBER, 1u << 22},
        [GROUP] = {"group", NUMBER, FG_JOB_GROUP_NONE},
        [BACKGROUND] = {"background", NUMBER, 1},
};

static uint64_t number_of(const struct fg_job_spec *spec, enum field field)
{
        switch (field) {
        case UID:        return spec->uid;
        case GID:        return spec->gid;
        case TIME_LIMIT: return spec->time_limit;
        case GRACE:      return spec->grace;
        case LOG_MAX:    return spec->log_max;
        case PIDS_MAX:   return spec->pids_max;
        case GROUP:      return spec->group;
        default:         return spec->background;
        }
}

static void set_number(struct fg_job_spec *spec, enum field field, uint64_t value)
{
        switch (field) {
        case UID:        spec->uid = (uid_t)value; break;
        case GID:        spec->gid = (gid_t)value; break;
        case TIME_LIMIT: spec->time_limit = value; break;
        case GRACE:      spec->grace = value; break;
        case LOG_MAX:    spec->log_max = value; break;
        case PIDS_MAX:   spec->pids_max = value; break;
        case GROUP:      spec->group = (enum fg_job_group)value; break;
        default:         spec->background = value; break;
        }
}

int fg_job_spec_check(const struct fg_job_spec *spec, struct fg_error *err)
{
        if (!memchr(spec->id, 0, sizeof spec->id) || fg_name_check(spec->id, NULL) < 0)
                return fg_error_set(err, -EINVAL, "a job's id is 1 to 63 letters, digits, '.', '_' and '-'");
        if (!spec->argc || !spec->argv[0][0])
                return fg_error_set(err, -EINVAL, "a job needs a command");
        if (spec->argc > FG_JOB_WORDS_MAX || spec->envc > FG_JOB_WORDS_MAX)
                return fg_error_set(err, -E2BIG, "a job has at most %u words and %u variables", FG_JOB_WORDS_MAX, FG_JOB_WORDS_MAX);
        if (spec->cwd[0] && spec->cwd[0] != '/')
                return fg_error_set(err, -EINVAL, "the folder \"%.200s\" is not an absolute path", spec->cwd);
        for (uint32_t i = 0; i < spec->envc; i++)
                if (!strchr(spec->env[i], '=') || spec->env[i][0] == '=')
                        return fg_error_set(err, -EINVAL, "\"%.100s\" is not a variable; write NAME=VALUE", spec->env[i]);
        for (enum field f = 0; f < FIELDS; f++)
                if (rows[f].kind == NUMBER && number_of(spec, f) > rows[f].max)
                        return fg_error_set(err, -ERANGE, "%s: %" PRIu64 " is more than %" PRIu64, rows[f].name, number_of(spec, f), rows[f].max);
        return 0;
}

static void put(FILE *out, enum field field, const char *text)
{
        fprintf(out, "%s %zu\n%s\n", rows[field].name, strlen(text), text);
}

int fg_job_spec_write(const struct fg_job_spec *spec, char **ret, size_t *ret_size, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        char number[NUMBER_MAX];
        size_t size;
        int r = fg_job_spec_check(spec, err);
        if (r < 0)
                return r;
        FILE *out = open_memstream(&text, &size);
        if (!out)
                return fg_error_set(err, -ENOMEM, "out of memory");
        fputs(HEADER, out);
        put(out, ID, spec->id);
        put(out, CWD, spec->cwd);
        for (enum field f = 0; f < FIELDS; f++)
                if (rows[f].kind == NUMBER) {
                        snprintf(number, sizeof number, "%" PRIu64, number_of(spec, f));
                        put(out, f, number);
                }
        for (uint32_t i = 0; i < spec->argc; i++)
                put(out, ARG, spec->argv[i]);
        for (uint32_t i = 0; i < spec->envc; i++)
                put(out, ENV, spec->env[i]);
        fputs("end 0\n\n", out);
        if (fclose(out) != 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        if (size > FG_JOB_SPEC_MAX)
                return fg_error_set(err, -E2BIG, "the command and its variables are %zu bytes; at most %u are possible", size, FG_JOB_SPEC_MAX);
        *ret = FG_TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

/* Decimal digits alone: what this writes, nothing that strtoull takes besides. */
static int read_number(const char *text, size_t length, uint64_t max, uint64_t *ret)
{
        uint64_t value = 0;
        if (!length || length >= NUMBER_MAX)
                return -EBADMSG;
        for (size_t i = 0; i < length; i++)
                if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        return -EBADMSG;
        if (value > max)
                return -EBADMSG;
        *ret = value;
        return 0;
}

/* Cuts one field off the front of what is left; the text gets a NUL in place of its newline. */
static int next_field(char **at, char *end, char **ret_name, char **ret_text, size_t *ret_length)
{
        char *line = memchr(*at, '\n', (size_t)(end - *at));
        char *space = line ? memchr(*at, ' ', (size_t)(line - *at)) : NULL;
        uint64_t length;
        if (!space || read_number(space + 1, (size_t)(line - space - 1), FG_JOB_SPEC_MAX, &length) < 0 ||
            length >= (uint64_t)(end - line - 1) || line[1 + length] != '\n' || memchr(line + 1, 0, length))
                return -EBADMSG;
        *space = 0;
        line[1 + length] = 0;
        *ret_name = *at;
        *ret_text = line + 1;
        *ret_length = length;
        *at = line + 2 + length;
        return 0;
}

static int take_field(struct fg_job_spec *spec, bool seen[FIELDS], const char *name, char *text, size_t length)
{
        uint64_t value;
        for (enum field f = 0; f < FIELDS; f++) {
                if (strcmp(name, rows[f].name) != 0)
                        continue;
                if (seen[f] && rows[f].kind != WORD)
                        return -EBADMSG;
                seen[f] = true;
                if (rows[f].kind == NUMBER) {
                        int r = read_number(text, length, rows[f].max, &value);
                        if (r == 0)
                                set_number(spec, f, value);
                        return r;
                }
                if (f == ID && length < sizeof spec->id)
                        strcpy(spec->id, text);
                else if (f == CWD)
                        spec->cwd = text;
                else if (f == ARG && spec->argc < FG_JOB_WORDS_MAX)
                        spec->argv[spec->argc++] = text;
                else if (f == ENV && spec->envc < FG_JOB_WORDS_MAX)
                        spec->env[spec->envc++] = text;
                else
                        return -EBADMSG;
                return 0;
        }
        return -EBADMSG;
}

static int read_fields(struct fg_job_spec *spec, char *at, char *end)
{
        bool seen[FIELDS] = {false};
        char *name, *text;
        size_t length;
        for (;;) {
                int r = next_field(&at, end, &name, &text, &length);
                if (r < 0)
                        return r;
                if (strcmp(name, "end") == 0)
                        break;
                r = take_field(spec, seen, name, text, length);
                if (r < 0)
                        return r;
        }
        for (enum field f = 0; f < FIELDS; f++)
                if (!seen[f] && f != ENV)
                        return -EBADMSG;
        return length || at != end ? -EBADMSG : 0;
}

int fg_job_spec_read(const char *bytes, size_t size, struct fg_job_spec *ret, struct fg_error *err)
{
        const size_t words = 2u * (FG_JOB_WORDS_MAX + 1u) * sizeof(char *);
        struct fg_job_spec spec = {0};
        if (size > FG_JOB_SPEC_MAX || size < strlen(HEADER) || memcmp(bytes, HEADER, strlen(HEADER)) != 0)
                return fg_error_set(err, -EBADMSG, "not the spec of a job");
        fg_autofree char *storage = calloc(1, words + size);
        if (!storage)
                return fg_error_set(err, -ENOMEM, "out of memory");
        char *text = storage + words;
        memcpy(text, bytes, size);
        spec.argv = (char **)(void *)storage;
        spec.env = spec.argv + FG_JOB_WORDS_MAX + 1;
        if (read_fields(&spec, text + strlen(HEADER), text + size) < 0 || fg_job_spec_check(&spec, NULL) < 0)
                return fg_error_set(err, -EBADMSG, "the spec of the job is damaged");
        *ret = spec;
        ret->storage = FG_TAKE_PTR(storage);
        return 0;
}

void fg_job_spec_free(struct fg_job_spec *spec)
{
        free(spec->storage);
        *spec = (struct fg_job_spec){0};
}
