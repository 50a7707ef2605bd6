/* SPDX-License-Identifier: Apache-2.0
 * Of what there are figures in a scrape, and the labels of each. A caller's rows are of the projects that he may see; what is of the
 * whole node is for admins. Of each kind so many rows are told, and those left out are counted. */
#include "daemon/metrics_internal.h"

#include "daemon/api_internal.h"
#include "daemon/pages.h"
#include "daemon/watchdog_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fgd_device_gpu(const struct fgd_device *device)
{
        return strncmp(device->key, "cuda/", 5) == 0 ? device->key + 5 : device->uuid;
}

/* The labels come next, then end_row(). False: it is left out. */
static bool begin_row(struct fgd_scrape *s, enum fgd_metric_of of, const void *object, fg_int128 number)
{
        struct fgd_metric_rows *rows = &s->rows[of];
        if (of > FGD_OF_GPU && rows->count >= s->manager->options.value[FG_OPT_METRICS_LIMIT]) {
                rows->dropped++;
                return false;
        }
        if (rows->count == rows->room) {
                uint32_t room = rows->room ? 2 * rows->room : 16;
                struct fgd_metric_row *more = reallocarray(rows->row, room, sizeof *more);
                if (!more)
                        return s->labels.failed = true, false;
                rows->row = more;
                rows->room = room;
        }
        rows->row[rows->count++] = (struct fgd_metric_row){(uint32_t)s->labels.size, object, number};
        return true;
}

/* A NUL ends the labels: rows share one text. */
static void end_row(struct fgd_scrape *s)
{
        fgd_text_add(&s->labels, ";");
        if (!s->labels.failed)
                s->labels.data[s->labels.size - 1] = 0;
}

static void label(struct fgd_scrape *s, const char *name, const char *value)
{
        fgd_label_add(&s->labels, name, value);
}

static bool may_see(const struct fgd_scrape *s, const struct fgd_project *project)
{
        return s->only ? project == s->only : s->is_admin || fgd_role_in(s->manager, &s->call->who, project) >= FGD_ROLE_VIEWER;
}

/* --- of the node --- */

/* dcgm-exporter's labels. */
static void label_gpu(struct fgd_scrape *s, const struct fgd_device *device, uint64_t index)
{
        char number[24], name[32];
        snprintf(number, sizeof number, "%llu", (unsigned long long)index);
        snprintf(name, sizeof name, "nvidia%llu", (unsigned long long)index);
        label(s, "gpu", number);
        label(s, "UUID", fgd_device_gpu(device));
        label(s, "device", name);
        label(s, "modelName", device->model);
        label(s, "Hostname", s->manager->metrics->host);
}

static void collect_device(struct fgd_scrape *s, const struct fgd_device *device)
{
        uint64_t index;
        if (begin_row(s, FGD_OF_DEVICE, device, 0)) {
                label(s, "UUID", fgd_device_gpu(device));
                label(s, "model", device->model);
                end_row(s);
        }
        if (begin_row(s, FGD_OF_MODEL, &s->manager->metering->device[device->id].perf, 0)) {
                label(s, "UUID", fgd_device_gpu(device));
                end_row(s);
        }
        if (fgd_telemetry_get(s->manager, device, FGD_SAMPLE_INDEX, &index) && begin_row(s, FGD_OF_GPU, device, 0)) {
                label_gpu(s, device, index);
                end_row(s);
        }
}

static void collect_node(struct fgd_scrape *s)
{
        const struct fgd_manager *m = s->manager;
        static const char *const kinds[] = {[FGD_OVER_QUOTA] = "over-quota", [FGD_STRANGER] = "outside"};
        if (begin_row(s, FGD_OF_NODE, m, 0))
                end_row(s);
        for (uint32_t i = 0; i < m->devices; i++)
                collect_device(s, m->device[i]);
        for (unsigned kind = 0; m->watchdog && kind < 2; kind++)
                if (begin_row(s, FGD_OF_FINDING, NULL, fgd_watchdog_findings(m, kind))) {
                        label(s, "kind", kinds[kind]);
                        end_row(s);
                }
        for (int type = 0; type < FGD_PROBLEM_TYPES; type++)
                if (begin_row(s, FGD_OF_REFUSAL, NULL, m->metrics->refused[type])) {
                        label(s, "type", fgd_problem_type_name(&(struct fgd_problem){.type = (enum fgd_problem_type)type}));
                        end_row(s);
                }
}

/* --- of vGPUs --- */

/* As dcgm-exporter has them, so that OpenCost finds the pod; what runs for no cluster has its names here instead. */
static void label_workload(struct fgd_scrape *s, const struct fgd_set *set, const char *name)
{
        char namespace[64] = "", pod[256] = "", container[64] = "";
        bool is_known = set->workload && sscanf(set->workload, "%63[^/]/%253[^/]/%63s", namespace, pod, container) == 3;
        label(s, "namespace", is_known ? namespace : fgd_set_payer(set)->name);
        label(s, "pod", is_known ? pod : set->name);
        label(s, "container", is_known ? container : name);
}

static void collect_vgpu(struct fgd_scrape *s, const struct fgd_set *set, const struct fgd_vgpu *vgpu)
{
        char name[80];
        uint64_t index;
        if (!vgpu->device || !begin_row(s, FGD_OF_VGPU, vgpu, 0))
                return;
        if (vgpu->pages)
                fgd_pages_settle(vgpu->pages);
        snprintf(name, sizeof name, "%s/%u", set->name, vgpu->index);
        label(s, "project", fgd_set_payer(set)->name);
        label(s, "user", set->owner ? set->owner->name : "");
        label(s, "vgpu", name);
        label(s, "UUID", fgd_device_gpu(vgpu->device));
        end_row(s);
        if (fgd_telemetry_get(s->manager, vgpu->device, FGD_SAMPLE_INDEX, &index) && begin_row(s, FGD_OF_CONTAINER, vgpu, 0)) {
                label_gpu(s, vgpu->device, index);
                label_workload(s, set, name);
                label(s, "vgpu", name); /* several of a container may be on one device */
                end_row(s);
        }
}

/* --- of projects --- */

static void collect_queue(struct fgd_scrape *s, const struct fgd_project *project)
{
        const struct fgd_project_figures *f = project->figures;
        for (unsigned reason = 0; f && reason < FGD_PENDING_REASONS; reason++)
                if (f->pending[reason] && begin_row(s, FGD_OF_PENDING, NULL, f->pending[reason])) {
                        label(s, "project", project->name);
                        label(s, "reason", fgd_pending_reason(reason));
                        end_row(s);
                }
        if (f && begin_row(s, FGD_OF_WAIT, f, 0)) {
                label(s, "project", project->name);
                end_row(s);
        }
}

static void collect_project(struct fgd_scrape *s, struct fgd_project *project)
{
        if (begin_row(s, FGD_OF_PROJECT, project, 0)) {
                label(s, "project", project->name);
                end_row(s);
        }
        if (project->perf && begin_row(s, FGD_OF_MODEL, project->perf, 0)) {
                label(s, "project", project->name);
                end_row(s);
        }
        collect_queue(s, project);
}

static void collect_money(struct fgd_scrape *s)
{
        const struct fgd_metrics *metrics = s->manager->metrics;
        if (!fgd_metrics_add_up(s->manager, s->now))
                return;
        for (size_t i = 0; i < metrics->spent_count; i++) {
                const struct fgd_spent *spent = &metrics->spent[i];
                if (!may_see(s, spent->project))
                        continue;
                if (begin_row(s, FGD_OF_COST, spent, 0)) {
                        label(s, "project", spent->project->name);
                        label(s, "currency", spent->currency);
                        end_row(s);
                }
                if (spent->budget && begin_row(s, FGD_OF_BUDGET, spent, 0)) {
                        label(s, "project", spent->project->name);
                        end_row(s);
                }
        }
}

void fgd_scrape_collect(struct fgd_scrape *s)
{
        struct fgd_project *project;
        const struct fgd_set *set;
        if (begin_row(s, FGD_OF_SCRAPE, s, 0))
                end_row(s);
        if (s->is_admin && !s->only)
                collect_node(s);
        fgd_metrics_count_pending(s->manager);
        TAILQ_FOREACH(project, &s->manager->tenants->projects, order)
                if (may_see(s, project))
                        collect_project(s, project);
        TAILQ_FOREACH(set, &s->manager->sets, order)
                for (uint32_t i = 0; i < set->count && may_see(s, fgd_set_payer(set)); i++)
                        collect_vgpu(s, set, &set->vgpu[i]);
        collect_money(s);
}

void fgd_scrape_clear(struct fgd_scrape *s)
{
        for (unsigned i = 0; i < FGD_OF_COUNT; i++)
                free(s->rows[i].row);
        fgd_text_clear(&s->labels);
}
