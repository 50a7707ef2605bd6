/* SPDX-License-Identifier: Apache-2.0
 * Reading what is submitted: every field is checked, and named in the refusal. */
#include "daemon/api_jobs.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/api_body.h"
#include "daemon/money.h"
#include "daemon/registry.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

const char *const fgd_submit_fields[] = {"command", "name",    "project",    "gpus",       "memory",  "compute", "mode", "priority", "device",
                                         "array",   "retries", "time_limit", "not_before", "env",     "cwd",     "budget", NULL};
const char *const fgd_class_names[3] = {"low", "normal", "high"};

/* --- times --- */

/* "90", "90s", "30m", "12h", "2d". -1: not that. */
static int64_t parse_duration(const char *text)
{
        static const struct {
                char unit;
                int64_t seconds;
        } units[] = {{0, 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
        char *end;
        if (!isdigit((unsigned char)*text) || strlen(text) > 12)
                return -1;
        long long amount = strtoll(text, &end, 10);
        for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
                if (*end == units[i].unit && (!*end || !end[1]))
                        return amount * units[i].seconds;
        return -1;
}

static int read_time_limit(struct fgd_call *call, json_t *body, uint32_t *ret)
{
        json_t *value = json_object_get(body, "time_limit");
        char quoted[96];
        int64_t seconds = -1;
        if (json_is_string(value))
                seconds = parse_duration(json_string_value(value));
        else
                fgd_body_integer(value, &seconds);
        *ret = 0;
        if (!value)
                return 0;
        if (seconds < 1 || seconds > FGD_JOB_SECONDS)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"time_limit\" must be a time up to a year: \"90s\", \"30m\", \"12h\", \"2d\" "
                                       "or a number of seconds, not %s", fgd_body_quote(value, quoted, sizeof quoted));
        *ret = (uint32_t)seconds;
        return 0;
}

/* Unix seconds, or as text a time from now. */
static int read_not_before(struct fgd_call *call, json_t *body, int64_t *ret)
{
        json_t *value = json_object_get(body, "not_before");
        char quoted[96];
        int64_t now = time(NULL), in = json_is_string(value) ? parse_duration(json_string_value(value)) : -1;
        *ret = 0;
        if (!value)
                return 0;
        *ret = in < 0 ? -1 : now + in;
        if (!json_is_string(value))
                fgd_body_integer(value, ret);
        if (*ret < 0 || *ret > now + (int64_t)FGD_JOB_SECONDS)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"not_before\" must be a unix time or a time from now, within a year: \"30m\", "
                                       "\"12h\", not %s", fgd_body_quote(value, quoted, sizeof quoted));
        return 0;
}

/* --- arrays: "1-10", "0-99%4", "7" --- */

static bool take_number(const char **at, uint64_t max, uint64_t *ret)
{
        char *end;
        if (!isdigit((unsigned char)**at))
                return false;
        errno = 0;
        *ret = strtoull(*at, &end, 10);
        *at = end;
        return errno == 0 && *ret <= max;
}

static int read_array(struct fgd_call *call, json_t *body, struct fgd_submit *ret)
{
        json_t *value = json_object_get(body, "array");
        const char *text = json_string_value(value), *at = text;
        uint64_t first = 0, last = 0, at_once = 0;
        char quoted[96];
        ret->count = 1;
        if (!value)
                return 0;
        bool is_good = text && take_number(&at, FGD_ARRAY_INDEX, &first);
        last = first;
        if (is_good && *at == '-')
                is_good = (at++, take_number(&at, FGD_ARRAY_INDEX, &last));
        if (is_good && *at == '%')
                is_good = (at++, take_number(&at, FGD_ARRAY_MAX, &at_once)) && at_once > 0;
        if (!is_good || *at)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"array\" must be a range like \"1-10\", with \"%%K\" behind it for at most K at "
                                       "once, up to index %u, not %s", FGD_ARRAY_INDEX, fgd_body_quote(value, quoted, sizeof quoted));
        if (last < first || last - first >= FGD_ARRAY_MAX)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"array\" %s has %s: the first index comes first, and %u elements are possible",
                                       fgd_body_quote(value, quoted, sizeof quoted), last < first ? "no elements" : "too many elements", FGD_ARRAY_MAX);
        ret->is_array = true;
        ret->first = (uint32_t)first;
        ret->count = (uint32_t)(last - first + 1);
        ret->at_once = at_once >= ret->count ? 0 : (uint32_t)at_once;
        return 0;
}

/* --- resources --- */

static uint64_t smallest_device(const struct fgd_manager *m, const struct fgd_device *device)
{
        uint64_t least = 0;
        for (uint32_t i = 0; i < m->devices; i++) {
                const struct fgd_device *d = m->device[i];
                uint64_t whole = d->memory - fgd_device_reserved(m, d);
                if (device ? d == device : d->present && (!least || whole < least))
                        least = whole;
        }
        return least;
}

/* What is not said is in proportion to what is, and a whole device where nothing is: of the one asked for, else of the smallest. */
static int read_amounts(struct fgd_call *call, json_t *body, struct fgd_submit *ret)
{
        struct fg_sched_want want = {0};
        uint64_t whole = smallest_device(call->manager, ret->device);
        if (json_is_array(json_object_get(body, "memory")) || json_is_array(json_object_get(body, "compute")))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the vGPUs of a job are all alike: give one \"memory\" and one \"compute\"");
        if (fgd_body_wants(body, 1, &whole, &want, &call->problem) < 0)
                return -1;
        if (!whole)
                return fgd_problem_set(&call->problem, FGD_NO_CAPACITY, "there is no device; \"fastgpu doctor\" says what is missing");
        if (!want.share)
                want.share = want.memory ? (uint32_t)((want.memory * FGD_SHARE_WHOLE + whole - 1) / whole) : FGD_SHARE_WHOLE;
        ret->share = want.share > FGD_SHARE_WHOLE ? FGD_SHARE_WHOLE : want.share ? want.share : 1;
        ret->memory = want.memory ? want.memory : whole / FGD_SHARE_WHOLE * ret->share;
        if (ret->gpus > FG_QUEUE_GANG_MAX)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "a job has at most %u vGPUs, not %u", FG_QUEUE_GANG_MAX, ret->gpus);
        return 0;
}

/* --- as whom --- */

static int refuse_account(struct fgd_call *call, const char *why)
{
        const char *name = call->who.user ? call->who.user->name : call->who.actor;
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "%s has no account that jobs can run as: %s; an admin gives one with: "
                               "fastgpu user change %s --account ACCOUNT", name, why, name);
}

/* Who comes with a token runs as his user's account, who comes by the socket as himself. */
static int find_uid(struct fgd_call *call, uint32_t *ret)
{
        const struct fgd_principal *who = &call->who;
        struct ucred peer = {.uid = (uid_t)-1};
        socklen_t size = sizeof peer;
        if (who->token) {
                const struct passwd *account = who->user->account[0] ? getpwnam(who->user->account) : NULL;
                if (who->user->account[0] && !account)
                        return refuse_account(call, "there is no such account on this machine");
                if (!account && who->user->uid == FGD_NO_UID)
                        return refuse_account(call, "none is known");
                *ret = account ? account->pw_uid : (uint32_t)who->user->uid;
        } else if (!call->request->remote && call->request->peer < 0 && who->is_operator) {
                *ret = geteuid(); /* within this process */
        } else if (call->request->remote || call->request->peer < 0 ||
                   getsockopt(call->request->peer, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid == (uid_t)-1) {
                return refuse_account(call, "it cannot be told who is calling");
        } else {
                *ret = peer.uid;
        }
        if (*ret != geteuid() && !getpwuid(*ret))
                return refuse_account(call, "this machine has none with that uid");
        if ((*ret == 0 || *ret == geteuid()) && !who->is_operator)
                return refuse_account(call, "nobody's jobs run as root or as the daemon but the operator's own");
        if (geteuid() != 0 && *ret != geteuid())
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "this daemon runs as uid %u and cannot start jobs as uid %u: use the system's daemon",
                                       geteuid(), *ret);
        return 0;
}

/* --- money --- */

/* Where nobody says which, it is that of the price list. */
static int read_currency(struct fgd_call *call, const char *text, char ret[FG_CURRENCY_MAX])
{
        const struct fgd_money *money = call->manager->money;
        const struct fg_bill_prices *prices = money && money->log ? fg_bill_books_prices(fgd_moneylog_books(money->log)) : NULL;
        struct fg_error err = {0};
        if (!text && (!prices || !prices->count))
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "in which currency? There is no price list to tell: give one with the budget, such as \"EUR\"");
        if (fg_currency_parse(text ? text : prices->row[0].currency, ret, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        return 0;
}

int fgd_body_budget(struct fgd_call *call, json_t *body, bool *ret_given, struct fgd_job_limit *ret)
{
        json_t *value = json_object_get(body, "budget");
        const char *amount, *currency, *field;
        char quoted[96];
        struct fg_error err = {0};
        json_t *ignored;
        *ret_given = value;
        *ret = (struct fgd_job_limit){0};
        if (!value || json_is_null(value))
                return 0;
        if (!json_is_object(value))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"budget\" must be an object such as {\"amount\": \"10\", \"currency\": \"EUR\"}, not %s",
                                       fgd_body_quote(value, quoted, sizeof quoted));
        json_object_foreach (value, field, ignored)
                if (strcmp(field, "amount") != 0 && strcmp(field, "currency") != 0)
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"budget\" has \"amount\" and \"currency\", not \"%.40s\"", field);
        if (fgd_body_string(value, "amount", &amount, &call->problem) < 0 || fgd_body_string(value, "currency", &currency, &call->problem) < 0)
                return -1;
        if (!amount)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"budget\" needs an \"amount\", such as \"10\"");
        if (fg_price_parse(amount, &ret->amount, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        return ret->amount || currency ? read_currency(call, currency, ret->currency) : 0;
}

/* --- the command --- */

static int check_text(struct fgd_call *call, const char *what, const char *text, size_t length, size_t *total)
{
        if (strlen(text) != length)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "%s holds a NUL character", what);
        *total += length + 1;
        if (*total > FGD_JOB_TEXT)
                return fgd_problem_set(&call->problem, FGD_TOO_LARGE, "the command and its environment have more than %u bytes: put them into a file", FGD_JOB_TEXT);
        return 0;
}

static int read_words(struct fgd_call *call, json_t *body, struct fg_job_spec *spec, size_t *total)
{
        json_t *value = json_object_get(body, "command"), *word;
        char quoted[96];
        size_t i, count = json_array_size(value);
        if (count == 0 || count > FG_JOB_WORDS_MAX - 16)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"command\" must be a list of 1 to %u words, not %s", FG_JOB_WORDS_MAX - 16,
                                       value ? fgd_body_quote(value, quoted, sizeof quoted) : "missing");
        spec->argv = calloc(count + 1, sizeof *spec->argv);
        if (!spec->argv)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        json_array_foreach (value, i, word) {
                if (!json_is_string(word) || (i == 0 && json_string_length(word) == 0))
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"command\" must be a list of words, not %s",
                                               fgd_body_quote(word, quoted, sizeof quoted));
                if (check_text(call, "\"command\"", json_string_value(word), json_string_length(word), total) < 0)
                        return -1;
                spec->argv[i] = (char *)json_string_value(word);
        }
        spec->argc = (uint32_t)count;
        return 0;
}

static bool is_variable(const char *name)
{
        if (!*name || isdigit((unsigned char)*name))
                return false;
        for (; *name; name++)
                if (!isalnum((unsigned char)*name) && *name != '_')
                        return false;
        return true;
}

/* What keeps a job's limits is the daemon's to say. */
static bool is_ours(const char *name)
{
        return strncmp(name, "FASTGPU_", 8) == 0 || strcmp(name, "OPENCL_LAYERS") == 0 || strcmp(name, "LD_PRELOAD") == 0 || strcmp(name, "LD_AUDIT") == 0;
}

static int add_variable(struct fgd_call *call, const char *name, json_t *value, struct fg_job_spec *spec, size_t *total)
{
        char quoted[96];
        if (!is_variable(name) || strlen(name) > 255)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"env\" has a variable \"%.80s\": names are letters, digits and \"_\"", name);
        if (is_ours(name))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"env\" has %.80s, which is set for the job and cannot be given", name);
        if (!json_is_string(value))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"env\" %.80s must be a string, not %s", name,
                                       fgd_body_quote(value, quoted, sizeof quoted));
        if (check_text(call, "\"env\"", json_string_value(value), json_string_length(value), total) < 0)
                return -1;
        if (asprintf(&spec->env[spec->envc], "%s=%s", name, json_string_value(value)) < 0)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        *total += strlen(name) + 1;
        spec->envc++;
        return 0;
}

static int read_env(struct fgd_call *call, json_t *body, struct fg_job_spec *spec, size_t *total)
{
        json_t *object = json_object_get(body, "env"), *value;
        const char *name;
        char quoted[96];
        if (!object)
                return 0;
        if (!json_is_object(object) || json_object_size(object) > FG_JOB_WORDS_MAX - 16)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"env\" must be an object of at most %u variables, not %s", FG_JOB_WORDS_MAX - 16,
                                       fgd_body_quote(object, quoted, sizeof quoted));
        spec->env = calloc(json_object_size(object) + 1, sizeof *spec->env);
        if (!spec->env)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        json_object_foreach (object, name, value)
                if (add_variable(call, name, value, spec, total) < 0)
                        return -1;
        return 0;
}

static int read_cwd(struct fgd_call *call, json_t *body, struct fg_job_spec *spec, size_t *total)
{
        const char *cwd;
        if (fgd_body_string(body, "cwd", &cwd, &call->problem) < 0)
                return -1;
        spec->cwd = cwd ? cwd : "";
        if (*spec->cwd && (*spec->cwd != '/' || strlen(spec->cwd) >= PATH_MAX))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"cwd\" must be an absolute path, not \"%.80s\"", spec->cwd);
        return check_text(call, "\"cwd\"", spec->cwd, json_string_length(json_object_get(body, "cwd")), total);
}

static void spec_clear(struct fg_job_spec *spec)
{
        for (uint32_t i = 0; i < spec->envc; i++)
                free(spec->env[i]);
        free(spec->env);
        free(spec->argv);
}

/* For people: the words with blanks between them, cut. */
static void make_command(const struct fg_job_spec *spec, char *ret, size_t size)
{
        size_t at = 0;
        ret[0] = 0;
        for (uint32_t i = 0; i < spec->argc && at < size - 1; i++)
                at += (size_t)snprintf(ret + at, size - at, "%s%s", i ? " " : "", spec->argv[i]);
        for (char *c = ret; *c; c++)
                if ((unsigned char)*c < ' ' || *c == 0x7f)
                        *c = ' ';
}

/* What is run, for people: of `python -u train.py` the script, not the interpreter that all of them have. */
static const char *program_of(const struct fg_job_spec *spec)
{
        static const char *const interpreters[] = {"python", "sh", "bash", "Rscript", "julia", "perl", "ruby", "node", "torchrun", "accelerate", "deepspeed"};
        static const char *const endings[] = {".py", ".sh", ".R", ".jl", ".pl", ".rb", ".js"};
        const char *base = strrchr(spec->argv[0], '/') ? strrchr(spec->argv[0], '/') + 1 : spec->argv[0], *script = NULL;
        bool runs_scripts = false;
        for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++) {
                size_t n = strlen(interpreters[i]);
                runs_scripts |= strncmp(base, interpreters[i], n) == 0 && base[n + strspn(base + n, "0123456789.")] == '\0';
        }
        for (size_t i = 1; runs_scripts && i < spec->argc && !script; i++)
                if (spec->argv[i][0] != '-' && strcmp(spec->argv[i], "launch") != 0)
                        script = spec->argv[i];
        for (size_t i = 0; script && i < sizeof endings / sizeof *endings; i++) {
                size_t n = strlen(script), m = strlen(endings[i]);
                if (n > m && strcmp(script + n - m, endings[i]) == 0 && !strchr(script, ' '))
                        return script;
        }
        return spec->argv[0];
}

/* After the program, as far as a name allows. */
static void make_name(const char *program, char ret[64])
{
        const char *base = strrchr(program, '/');
        size_t n = 0;
        for (base = base && base[1] ? base + 1 : program; *base && n < 63; base++)
                if (isalnum((unsigned char)*base) || (n && (*base == '.' || *base == '_' || *base == '-')))
                        ret[n++] = *base;
        ret[n] = 0;
        if (n == 0)
                strcpy(ret, "job");
}

static int read_spec(struct fgd_call *call, json_t *body, struct fgd_submit *s, char **ret)
{
        FG_CLEANUP(spec_clear) struct fg_job_spec spec = {.uid = s->uid, .gid = (gid_t)-1, .id = "job"};
        struct fg_error err = {0};
        size_t total = 0;
        if (read_words(call, body, &spec, &total) < 0 || read_env(call, body, &spec, &total) < 0 || read_cwd(call, body, &spec, &total) < 0)
                return -1;
        if (fg_job_spec_write(&spec, ret, &s->spec_size, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        s->spec = *ret;
        make_command(&spec, s->command, sizeof s->command);
        if (!s->name[0])
                make_name(program_of(&spec), s->name);
        return 0;
}

int fgd_body_submit(struct fgd_call *call, json_t *body, struct fgd_submit *s, char **ret_spec)
{
        const char *project;
        enum fg_priority priority;
        bool given;
        int64_t retries;
        *ret_spec = NULL;
        s->owner = call->who.user;
        if (fgd_body_string(body, "project", &project, &call->problem) < 0 || fgd_call_project(call, project, &s->project) < 0 ||
            fgd_body_name(body, s->name, &call->problem) < 0 || fgd_body_count(body, &s->gpus, &call->problem) < 0 ||
            fgd_body_mode(body, &given, &s->mode, &call->problem) < 0 || fgd_body_priority(body, &given, &priority, &call->problem) < 0 ||
            fgd_body_device(call, body, &s->device) < 0 || read_amounts(call, body, s) < 0 || read_array(call, body, s) < 0 ||
            read_time_limit(call, body, &s->time_limit) < 0 || read_not_before(call, body, &s->not_before) < 0 ||
            fgd_body_number(body, "retries", 0, FGD_JOB_RETRIES, &given, &retries, &call->problem) < 0 ||
            fgd_body_budget(call, body, &given, &s->limit) < 0 || find_uid(call, &s->uid) < 0)
                return -1;
        s->class = priority == FG_PRIORITY_LOW ? 0 : priority == FG_PRIORITY_NORMAL ? 1 : 2;
        s->retries = (uint32_t)retries;
        return read_spec(call, body, s, ret_spec);
}
