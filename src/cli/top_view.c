/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_view.h"

#include "cli/cli.h"

/* vGPUs by uuid: a name may have been given to another one meanwhile. */
static json_t *by_uuid(const json_t *answer)
{
        json_t *index = json_object();
        size_t i, j;
        json_t *set, *vgpu;
        json_array_foreach(json_object_get(answer, "sets"), i, set)
                json_array_foreach(json_object_get(set, "vgpus"), j, vgpu)
                        json_object_set(index, cli_text(vgpu, "uuid"), vgpu);
        return index;
}

/* Growth of a counter in `ns`, times `scale`; null when unknown. Counters only grow: less means another life. */
static json_t *rate(const json_t *before, const json_t *now, const char *key, uint64_t ns, double scale)
{
        uint64_t a = cli_number(before, key), b = cli_number(now, key);
        if (!before || ns == 0 || b < a)
                return json_null();
        return json_real((double)(b - a) * scale / (double)ns);
}

/* What requests about its set are sent to: "PROJECT:NAME", of a daemon without projects "NAME". */
static json_t *target_of(const json_t *set)
{
        const char *project = cli_text(set, "project");
        return json_sprintf("%s%s%s", project, *project ? ":" : "", cli_text(set, "name"));
}

static json_t *view_vgpu(const json_t *set, const json_t *vgpu, const json_t *old, uint64_t ns)
{
        static const char *const texts[] = {"name", "uuid", "mode", "priority", "state"};
        static const char *const limits[] = {"memory", "share"};
        static const char *const counts[] = {"memory_used", "memory_peak", "processes", "gpu_ns", "waits", "refusals"};
        const json_t *usage = json_object_get(vgpu, "usage"), *old_usage = json_object_get(old, "usage");
        json_t *view = json_object();
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                json_object_set_new(view, texts[i], json_string(cli_text(vgpu, texts[i])));
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
                json_object_set_new(view, limits[i], json_integer((json_int_t)cli_number(vgpu, limits[i])));
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
                json_object_set_new(view, counts[i], json_integer((json_int_t)cli_number(usage, counts[i])));
        json_object_set_new(view, "project", json_string(cli_text(set, "project")));
        json_object_set_new(view, "owner", json_string(cli_text(set, "owner")));
        json_object_set_new(view, "target", target_of(set));
        json_object_set_new(view, "device", json_integer((json_int_t)cli_number(vgpu, "device")));
        if (json_object_get(set, "job"))
                json_object_set(view, "job", json_object_get(set, "job"));
        if (json_object_get(usage, "pids"))
                json_object_set(view, "pids", json_object_get(usage, "pids"));
        json_object_set_new(view, "key", json_string(cli_text(vgpu, "uuid")));
        json_object_set_new(view, "got", rate(old_usage, usage, "gpu_ns", ns, 1000));
        json_object_set_new(view, "waits_per_s", rate(old_usage, usage, "waits", ns, 1e9));
        return view;
}

static json_t *view_device(const json_t *device)
{
        json_t *view = json_pack("{s:I, s:s, s:I, s:I, s:n, s:s, s:[]}", "id", (json_int_t)cli_number(device, "id"), "model",
                                 cli_text(device, "model"), "memory", (json_int_t)cli_number(device, "memory"), "memory_used",
                                 (json_int_t)0, "busy", "state", cli_text(device, "state"), "vgpus");
        static const char *const more[] = {"memory_free", "share_free"};
        for (size_t i = 0; view && i < sizeof more / sizeof more[0]; i++)
                if (json_object_get(device, more[i]))
                        json_object_set(view, more[i], json_object_get(device, more[i]));
        return view;
}

/* The view of the device that carries `vgpu`. A vGPU whose device has vanished is still shown. */
static json_t *device_of(json_t *views, const json_t *vgpu)
{
        size_t i;
        json_t *view;
        json_array_foreach(views, i, view)
                if (cli_number(view, "id") == cli_number(vgpu, "device"))
                        return view;
        view = json_pack("{s:I, s:s, s:I, s:I, s:n, s:s, s:[]}", "id", (json_int_t)cli_number(vgpu, "device"), "model",
                         cli_text(vgpu, "device_model"), "memory", (json_int_t)0, "memory_used", (json_int_t)0, "busy",
                         "state", "lost", "vgpus");
        json_array_append_new(views, view);
        return view;
}

static void add_to(json_t *device, json_t *vgpu)
{
        const json_t *got = json_object_get(vgpu, "got"), *busy = json_object_get(device, "busy");
        uint64_t used = cli_number(device, "memory_used") + cli_number(vgpu, "memory_used");
        json_object_set_new(device, "memory_used", json_integer((json_int_t)used));
        if (json_is_real(got))
                json_object_set_new(device, "busy", json_real(json_real_value(got) + json_real_value(busy)));
        json_array_append_new(json_object_get(device, "vgpus"), vgpu);
}

json_t *cli_top_view(const json_t *devices, const json_t *before, const json_t *now)
{
        cli_autojson json_t *old = by_uuid(before);
        uint64_t from = cli_number(before, "now_ns"), to = cli_number(now, "now_ns");
        uint64_t ns = before && to > from ? to - from : 0;
        json_t *views = json_array();
        json_t *view = json_pack("{s:I, s:I, s:o}", "time_ns", (json_int_t)to, "interval_ns", (json_int_t)ns, "devices",
                                 views);
        size_t i, j;
        const json_t *device, *set, *vgpu;
        if (!view)
                return NULL;
        json_array_foreach(json_object_get(devices, "devices"), i, device)
                json_array_append_new(views, view_device(device));
        json_array_foreach(json_object_get(now, "sets"), i, set) json_array_foreach(json_object_get(set, "vgpus"), j,
                                                                                    vgpu)
                add_to(device_of(views, vgpu), view_vgpu(set, vgpu, json_object_get(old, cli_text(vgpu, "uuid")), ns));
        return view;
}
