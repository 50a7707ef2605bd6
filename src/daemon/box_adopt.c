/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/box_adopt.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/attach_server.h"
#include "daemon/manager.h"
#include "daemon/set_file.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT_A_TIME 16u /* boxes between two turns of the loop: some 0.3 ms */

struct fgd_box_rest {
        struct fgd_manager *manager;
        sd_event_source *source;
        DIR *folder;
};

struct found {
        struct fgd_set *set;
        int64_t index;
        struct timespec when;
};

static int by_age(const void *a, const void *b)
{
        const struct timespec *x = &((const struct found *)a)->when, *y = &((const struct found *)b)->when;
        if (x->tv_sec != y->tv_sec)
                return x->tv_sec < y->tv_sec ? -1 : 1;
        return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static DIR *open_boxes(const struct fgd_manager *m)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/containers", m->paths.run);
        return opendir(path);
}

/* Of the next folder: 1, ret is set; 0, it belonged to a set that is gone and is removed; -1, there are no more. */
static int next_left(struct fgd_manager *m, DIR *folder, struct found *ret)
{
        char path[PATH_MAX];
        struct dirent *e;
        do
                e = readdir(folder);
        while (e && e->d_name[0] == '.');
        if (!e)
                return -1;
        ret->set = fgd_set_of_file(m, e->d_name, &ret->index);
        if (ret->set)
                return 1;
        snprintf(path, sizeof path, "%s/containers/%s", m->paths.run, e->d_name);
        fgd_folder_remove(path);
        return 0;
}

/* Oldest first. */
static size_t find_left(struct fgd_manager *m, DIR *folder, struct found **ret)
{
        size_t count = 0, room = 0;
        struct found found;
        int r;
        *ret = NULL;
        while ((r = next_left(m, folder, &found)) >= 0) {
                char file[FGD_SET_FILE_MAX];
                struct stat st;
                if (r == 0 || fstatat(dirfd(folder), fgd_set_file(m, found.set, found.index, file), &st, 0) < 0)
                        continue;
                found.when = st.st_mtim;
                if (count == room) {
                        room = room ? 2 * room : 64;
                        void *more = realloc(*ret, room * sizeof found);
                        if (!more)
                                break;
                        *ret = more;
                }
                (*ret)[count++] = found;
        }
        if (count)
                qsort(*ret, count, sizeof found, by_age);
        return count;
}

static int queue_turn(struct fgd_box_rest *rest);

/* The folder is read once more: a vGPU may get its box by a request while this is under way. */
static void take_next(struct fgd_box_rest *rest)
{
        struct fg_error err = {0};
        struct fgd_view *view;
        struct found found;
        int r = next_left(rest->manager, rest->folder, &found);
        if (r > 0 && fgd_attach_listen_box(rest->manager, found.set, found.index, &view, &err) < 0)
                fg_log_warning("%s", err.text);
        if (r >= 0)
                return;
        closedir(rest->folder);
        rest->folder = NULL;
}

static int on_turn(sd_event_source *source, void *user)
{
        struct fgd_box_rest *rest = user;
        for (unsigned i = 0; rest->folder && i < AT_A_TIME; i++)
                take_next(rest);
        return rest->folder ? queue_turn(rest) : 0;
}

/* A source anew for each turn: one that stays keeps its place in front of everything else that waits. */
static int queue_turn(struct fgd_box_rest *rest)
{
        rest->source = sd_event_source_disable_unref(rest->source);
        return sd_event_add_defer(rest->manager->event, &rest->source, on_turn, rest);
}

void fgd_box_adopt_all(struct fgd_box_rest *rest)
{
        while (rest && rest->folder)
                take_next(rest);
}

static void publish_newest(struct fgd_manager *m, const struct found *left, size_t count)
{
        const uint64_t most = m->options.value[FG_OPT_CDI_MAX];
        struct fgd_set *set;
        size_t behind = 0;
        TAILQ_FOREACH(set, &m->sets, order)
                behind += fgd_box_is_told(m, set);
        /* After a boot there is none: what was made last is what will be used first. */
        TAILQ_FOREACH(set, &m->sets, order)
                if (fgd_box_is_told(m, set) && behind-- <= most)
                        fgd_box_publish_set(m, set);
        for (size_t i = count > most ? count - most : 0; i < count; i++)
                fgd_box_publish(m, left[i].set, left[i].index);
}

struct fgd_box_rest *fgd_box_adopt_left(struct fgd_manager *m)
{
        fg_autofree struct found *left = NULL;
        DIR *folder = open_boxes(m);
        size_t count = folder ? find_left(m, folder, &left) : 0;
        struct fgd_box_rest *rest = folder ? calloc(1, sizeof *rest) : NULL;
        publish_newest(m, left, count);
        if (rest) {
                rewinddir(folder);
                *rest = (struct fgd_box_rest){.manager = m, .folder = folder};
                if (queue_turn(rest) < 0)
                        fgd_box_adopt_all(rest);
        } else if (folder) {
                closedir(folder);
                fg_log_warning("containers that run do not find this daemon: out of memory");
        }
        return rest;
}

void fgd_box_rest_free(struct fgd_box_rest *rest)
{
        if (!rest)
                return;
        sd_event_source_disable_unref(rest->source);
        if (rest->folder)
                closedir(rest->folder);
        free(rest);
}
