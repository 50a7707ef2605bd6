/* SPDX-License-Identifier: Apache-2.0
 * What is remembered of nodes and pools: a file for each, replaced whole, and a log of what each node has cost. */
#include "integrations/sites/sites.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

const char *fgi_sites_text(const json_t *record, const char *name)
{
        const char *text = json_string_value(json_object_get(record, name));
        return text ? text : "";
}

static int path_of(const struct fgi_sites_place *place, const char *name, const char *end, char ret[PATH_MAX], struct fg_error *err)
{
        int r = fg_name_check(name, err);
        if (r < 0)
                return r;
        snprintf(ret, PATH_MAX, "%s/%s%s", place->state, name, end);
        return 0;
}

int fgi_sites_lock(const struct fgi_sites_place *place, const char *name, int *ret, struct fg_error *err)
{
        char path[PATH_MAX];
        int r = path_of(place, name, ".lock", path, err);
        if (r < 0)
                return r;
        *ret = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (*ret < 0 || flock(*ret, LOCK_EX) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        return 0;
}

json_t *fgi_sites_load_record(const struct fgi_sites_place *place, const char *name, const char *end)
{
        char path[PATH_MAX];
        return path_of(place, name, end, path, NULL) < 0 ? NULL : json_load_file(path, 0, NULL);
}

int fgi_sites_keep_record(const struct fgi_sites_place *place, const char *name, const char *end, const json_t *record, struct fg_error *err)
{
        char path[PATH_MAX], fresh[PATH_MAX + 4];
        int r = path_of(place, name, end, path, err);
        if (r < 0)
                return r;
        snprintf(fresh, sizeof fresh, "%s.new", path); /* a site and a node may have one name */
        fg_autofree char *text = json_dumps(record, JSON_COMPACT);
        fg_autoclose int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ssize_t size = text ? (ssize_t)strlen(text) : -1;
        if (fd < 0 || size < 0 || write(fd, text, (size_t)size) != size || fsync(fd) < 0 || rename(fresh, path) < 0)
                return fg_error_set(err, -EIO, "%s cannot be written: %m", path);
        return 0;
}

void fgi_sites_forget_record(const struct fgi_sites_place *place, const char *name, const char *end)
{
        char path[PATH_MAX];
        if (path_of(place, name, end, path, NULL) == 0)
                unlink(path);
}

uint64_t fgi_sites_cost(const json_t *record, time_t until)
{
        json_int_t since = json_integer_value(json_object_get(record, "since")), price = json_integer_value(json_object_get(record, "price_micro"));
        return until > since && price > 0 ? (uint64_t)((__int128)price * (until - since) / 3600) : 0;
}

void fgi_sites_log(const struct fgi_sites_place *place, const json_t *record)
{
        char path[PATH_MAX], cost[40];
        time_t now = time(NULL);
        snprintf(path, sizeof path, "%s/log", place->state);
        fg_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0)
                dprintf(fd, "{\"node\":\"%s\",\"site\":\"%s\",\"from\":%lld,\"until\":%lld,\"currency\":\"%s\",\"cost\":\"%s\"}\n", fgi_sites_text(record, "node"),
                        fgi_sites_text(record, "site"), (long long)json_integer_value(json_object_get(record, "since")), (long long)now, fgi_sites_text(record, "currency"),
                        fgi_sites_money(fgi_sites_cost(record, now), cost, sizeof cost));
}
