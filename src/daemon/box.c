/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/box.h"
#include "daemon/box_adopt.h"

#include "base/log.h"
#include "cdi/cdi.h"
#include "daemon/attach_link.h"
#include "daemon/attach_server.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EACH_MAX 16u /* a set of at most so many is published vGPU by vGPU as well */

struct fgd_boxes {
        TAILQ_HEAD(, fgd_view) published; /* newest first */
        char folder[PATH_MAX];            /* of specs; "": engines are not told */
        json_t *common;                   /* NULL: not looked for yet, or it cannot be had */
        char *common_text;
        uint64_t version;                 /* of the machine: what was made before it changed does not count */
        bool is_told;                     /* the spec has all that are published */
        char failure[FG_ERROR_MAX];       /* said last, so that it is said once */
        struct fgd_box_rest *rest;        /* NULL: all that an earlier daemon left is taken over */
};

static void find_folder(const struct fgd_manager *m, char *ret, size_t size)
{
        const char *option = m->options.text[FG_OPT_CDI_DIR];
        bool is_system = !m->paths.is_private && geteuid() == 0;
        if (!*option)
                option = is_system ? "/run/cdi" : "";
        snprintf(ret, size, "%s", strcmp(option, "none") == 0 ? "" : option);
}

int fgd_box_new(struct fgd_manager *m, struct fg_error *err)
{
        m->boxes = calloc(1, sizeof *m->boxes);
        if (!m->boxes)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&m->boxes->published);
        find_folder(m, m->boxes->folder, sizeof m->boxes->folder);
        return 0;
}

bool fgd_box_any(const struct fgd_manager *m)
{
        return m->boxes && !TAILQ_EMPTY(&m->boxes->published);
}

static bool has_cuda(const struct fgd_manager *m)
{
        for (uint32_t i = 0; i < m->devices; i++)
                if (m->device[i]->present && strcmp(m->device[i]->api, "cuda") == 0)
                        return true;
        return false;
}

static void drop_common(struct fgd_boxes *boxes)
{
        json_decref(boxes->common);
        free(boxes->common_text);
        boxes->common = NULL;
        boxes->common_text = NULL;
}

/* What all containers get is looked for when it is first needed: the tree may be mended while the daemon runs. */
static int need_common(struct fgd_manager *m, struct fg_error *err)
{
        char prefix[PATH_MAX - 16], tree[PATH_MAX], work[PATH_MAX];
        if (m->boxes->common)
                return 0;
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        snprintf(tree, sizeof tree, "%s/lib/fastgpu", prefix);
        snprintf(work, sizeof work, "%s/cdi", m->paths.run);
        const struct fg_cdi_host host = {tree, work, m->options.text[FG_OPT_SIM], m->options.text[FG_OPT_DRIVER_PATH], has_cuda(m)};
        if (r == 0)
                r = fg_mkdirs(work, 0755, err);
        if (r == 0)
                r = fg_cdi_prepare(&host, err);
        if (r == 0)
                m->boxes->common = fg_cdi_common(&host, err);
        if (m->boxes->common)
                m->boxes->common_text = json_dumps(m->boxes->common, JSON_COMPACT);
        if (m->boxes->common && !m->boxes->common_text) {
                drop_common(m->boxes);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        return r < 0 ? r : m->boxes->common ? 0 : err->code;
}

static json_t *edits_of(const struct fgd_view *view, struct fg_error *err)
{
        const char *uuid[FGD_DEVICES_MAX];
        char folder[PATH_MAX];
        size_t count = 0;
        uint32_t first = view->index < 0 ? 0 : (uint32_t)view->index, end = view->index < 0 ? view->set->count : first + 1;
        bool seen[FGD_DEVICES_MAX] = {0}, is_real = !view->manager->options.text[FG_OPT_SIM][0];
        for (uint32_t i = first; i < end; i++) {
                const struct fgd_device *device = view->set->vgpu[i].device;
                if (!device || seen[device->id] || !is_real || strncmp(device->key, "cuda/", 5) != 0)
                        continue;
                seen[device->id] = true;
                uuid[count++] = device->key + 5;
        }
        fgd_attach_box_path(view, folder, sizeof folder);
        return fg_cdi_of_view(&(struct fg_cdi_view){folder, uuid, count}, err);
}

const char *fgd_box_device(const struct fgd_view *view, char *buf, size_t size)
{
        const struct fgd_set *set = view->set;
        char name[FG_CDI_NAME_MAX];
        const char *project = set->project != view->manager->tenants->standard ? set->project->name : "";
        if (!view->manager->boxes->folder[0] || fg_cdi_name(project, set->name, view->index, name) < 0)
                return NULL;
        snprintf(buf, size, "%s", name);
        return buf;
}

/* Kept, as every change of any vGPU writes them all. NULL: its device cannot be handed out, and it is left out. */
static const char *text_of(struct fgd_view *view, struct fg_error *err)
{
        char name[FG_CDI_NAME_MAX];
        if (view->text && view->text_version == view->manager->boxes->version)
                return view->text;
        free(view->text);
        view->text = NULL;
        json_t *edits = fgd_box_device(view, name, sizeof name) ? edits_of(view, err) : NULL;
        if (edits && !(view->text = fg_cdi_spec_device(name, edits)))
                fg_error_set(err, -ENOMEM, "out of memory");
        json_decref(edits);
        view->text_version = view->manager->boxes->version;
        return view->text;
}

/* Of those published, the newest so many; the others leave the list, but their sockets stay: containers may have them. */
static size_t gather(struct fgd_manager *m, const char **device, size_t max, struct fg_error *err)
{
        struct fgd_view *view, *next;
        size_t seen = 0, count = 0;
        FGD_TAILQ_EACH_SAFE(view, &m->boxes->published, published, next) {
                if (seen++ < max) {
                        device[count] = text_of(view, err);
                        if (!device[count] && err->code == -ENOMEM) /* none is left out for that */
                                return count;
                        count += device[count] != NULL;
                        continue;
                }
                TAILQ_REMOVE(&m->boxes->published, view, published);
                view->is_published = false;
        }
        return count;
}

static int write_spec(struct fgd_manager *m, struct fg_error *err)
{
        size_t max = m->options.value[FG_OPT_CDI_MAX], count;
        int r = need_common(m, err);
        if (r < 0)
                return r;
        fg_autofree const char **device = calloc(max + 1, sizeof *device);
        if (!device)
                return fg_error_set(err, -ENOMEM, "out of memory");
        count = gather(m, device, max, err);
        return err->code == -ENOMEM ? -ENOMEM : fg_cdi_spec_write(m->boxes->common_text, device, count, m->boxes->folder, err);
}

/* Containers are not what a vGPU is made for first: if engines cannot be told, that is a problem to be shown, and no reason to fail. */
static void tell_engines(struct fgd_manager *m)
{
        struct fgd_boxes *boxes = m->boxes;
        struct fg_error err = {0}, ignored = {0};
        if (!boxes->folder[0])
                return;
        int r = TAILQ_EMPTY(&boxes->published) ? fg_cdi_spec_remove(boxes->folder, &err) : write_spec(m, &err);
        if (r < 0) {
                fg_cdi_spec_remove(boxes->folder, &ignored); /* rather no devices than those of yesterday */
                if (strcmp(boxes->failure, err.text) != 0)
                        fgd_manager_note(m, "container engines know no vGPUs: %s", err.text);
        }
        snprintf(boxes->failure, sizeof boxes->failure, "%s", r < 0 ? err.text : "");
        boxes->is_told = r == 0;
}

static void publish(struct fgd_view *view)
{
        struct fgd_boxes *boxes = view->manager->boxes;
        struct timespec now;
        char folder[PATH_MAX];
        if (!boxes->folder[0])
                return;
        if (view->is_published)
                TAILQ_REMOVE(&boxes->published, view, published);
        boxes->is_told = boxes->is_told && view->is_published;
        TAILQ_INSERT_HEAD(&boxes->published, view, published);
        view->is_published = true;
        /* When, is to be known to the next daemon; the file system's own clock ticks only every few milliseconds. */
        clock_gettime(CLOCK_REALTIME, &now);
        fgd_attach_box_path(view, folder, sizeof folder);
        utimensat(AT_FDCWD, folder, (const struct timespec[]){now, now}, 0);
}

int fgd_box_publish(struct fgd_manager *m, struct fgd_set *set, int64_t index)
{
        struct fg_error err = {0};
        struct fgd_view *view;
        int r = fgd_attach_listen_box(m, set, index, &view, &err);
        if (r < 0)
                fgd_manager_note(m, "containers cannot be given %s: %s", set->name, err.text);
        else
                publish(view);
        return r;
}

bool fgd_box_is_told(const struct fgd_manager *m, const struct fgd_set *set)
{
        return m->boxes->folder[0] && !set->ephemeral && !set->job;
}

void fgd_box_publish_set(struct fgd_manager *m, struct fgd_set *set)
{
        uint32_t each = set->count > 1 && set->count <= EACH_MAX ? set->count : 0;
        int r = 0;
        for (uint32_t i = each; r == 0 && i-- > 0;)
                r = fgd_box_publish(m, set, i);
        if (r == 0)
                fgd_box_publish(m, set, -1);
}

void fgd_box_created(struct fgd_manager *m, struct fgd_set *set)
{
        if (!fgd_box_is_told(m, set))
                return;
        fgd_box_publish_set(m, set);
        tell_engines(m);
}

void fgd_box_removing(struct fgd_manager *m, struct fgd_set *set)
{
        bool any = false;
        /* What has no socket yet would not be removed, and containers have the folder: a namesake would be theirs. */
        fgd_box_adopt_all(m->boxes->rest);
        for (struct fgd_view *view = set->views; view; view = view->next)
                if (view->is_published) {
                        TAILQ_REMOVE(&m->boxes->published, view, published);
                        view->is_published = false;
                        any = true;
                }
        if (any)
                tell_engines(m);
}

int fgd_box_open(struct fgd_manager *m, struct fgd_set *set, int64_t index, struct fgd_view **ret, json_t **ret_edits,
                 struct fgd_problem *problem)
{
        struct fg_error err = {0};
        int r = need_common(m, &err);
        if (r == 0)
                r = fgd_attach_listen_box(m, set, index, ret, &err);
        json_t *own = r == 0 ? edits_of(*ret, &err) : NULL;
        *ret_edits = own ? fg_cdi_merge(m->boxes->common, own) : NULL;
        json_decref(own);
        if (!*ret_edits)
                return fgd_problem_set(problem, r == -ENOSPC || r == -EROFS ? FGD_STORAGE : FGD_INTERNAL, "%s", err.text[0] ? err.text : "out of memory");
        publish(*ret);
        /* The order of devices says nothing to engines. */
        if (!m->boxes->is_told || !(*ret)->text || !fg_cdi_spec_is_there(m->boxes->folder))
                tell_engines(m);
        return 0;
}

void fgd_box_devices_changed(struct fgd_manager *m)
{
        if (!m->boxes)
                return;
        drop_common(m->boxes);
        m->boxes->version++;
        tell_engines(m);
}

void fgd_box_adopt(struct fgd_manager *m)
{
        m->boxes->rest = fgd_box_adopt_left(m);
}

void fgd_box_free(struct fgd_manager *m)
{
        struct fg_error err = {0};
        if (!m->boxes)
                return;
        if (m->boxes->folder[0] && fgd_box_any(m) && fg_cdi_spec_remove(m->boxes->folder, &err) < 0)
                fg_log_warning("%s", err.text);
        fgd_box_rest_free(m->boxes->rest);
        drop_common(m->boxes);
        free(m->boxes);
        m->boxes = NULL;
}
