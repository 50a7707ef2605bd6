/* SPDX-License-Identifier: Apache-2.0
 * Container engines, and what they read of vGPUs: which spec counts, which is dropped and why. */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIND "fastgpu.dev/vgpu"

/* How a vGPU gets into a container of this engine. */
static const struct {
        const char *program, *way;
} engine_table[] = {
        {"podman", "--device " KIND "=NAME (4.1 or newer)"},
        {"dockerd", "--device " KIND "=NAME (25 or newer, before 28.2 with the feature cdi), else `fastgpu docker enable` and --runtime fastgpu"},
        {"containerd", "CDI (1.7 or newer), else ctr run --runc-binary fastgpu-runtime"},
        {"crio", "CDI"},
};
/* In the order in which engines read them: the second wins. */
static const char *const folder_table[] = {"/etc/cdi", "/run/cdi"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool in_path(const char *program)
{
        static const char *const folder[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"};
        char path[PATH_MAX];
        for (size_t i = 0; i < COUNT(folder); i++) {
                snprintf(path, sizeof path, "%s/%s", folder[i], program);
                if (access(path, X_OK) == 0)
                        return true;
        }
        return false;
}

static void check_engines(struct cli_report *report)
{
        unsigned found = 0;
        for (size_t i = 0; i < COUNT(engine_table); i++) {
                if (!in_path(engine_table[i].program))
                        continue;
                found++;
                cli_report_add(report, "engine", CLI_FINDING_OK, "", "%s: %s", engine_table[i].program, engine_table[i].way);
        }
        if (!found)
                cli_report_add(report, "engine", CLI_FINDING_OK, "", "no container engine is installed");
}

/* What the folders hold: devices of ours by name, with the file that has them. */
struct specs {
        json_t *seen; /* of one folder: name -> file */
        json_t *all;  /* of both */
        bool is_read, has_foreign;
};

static void add_devices(struct cli_report *report, const json_t *spec, const char *path, struct specs *specs)
{
        const json_t *device;
        size_t i;
        json_array_foreach(json_object_get(spec, "devices"), i, device) {
                const char *name = cli_text(device, "name"), *other = json_string_value(json_object_get(specs->seen, name));
                if (other)
                        cli_report_add(report, "cdi", CLI_FINDING_FAIL, "stop one of the two daemons, or set its option cdi-dir to none",
                                       "%s: \"%s\" is in %s as well, so engines drop it from both", path, name, other);
                json_object_set_new(specs->seen, name, json_string(path));
                json_object_set_new(specs->all, name, json_string(path));
        }
}

static void check_spec(struct cli_report *report, const char *path, struct specs *specs)
{
        json_error_t where;
        cli_autojson json_t *spec = json_load_file(path, 0, &where);
        const char *kind = cli_text(spec, "kind");
        if (!spec) {
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "mend or remove it", "%s is dropped by engines: %s (line %d)", path, where.text, where.line);
                return;
        }
        if (strncmp(kind, "nvidia.com/", 11) == 0 && !specs->has_foreign) {
                specs->has_foreign = true;
                cli_report_add(report, "cdi", CLI_FINDING_WARN, "give a container one or the other: a whole GPU covers the limits of a vGPU",
                               "%s offers whole GPUs as %s", path, kind);
        }
        if (strcmp(kind, KIND) != 0)
                return;
        specs->is_read = true;
        cli_report_add(report, "cdi", CLI_FINDING_OK, "", "%s: %zu devices, version %s", path, json_array_size(json_object_get(spec, "devices")),
                       cli_text(spec, "cdiVersion"));
        add_devices(report, spec, path, specs);
}

static void check_folder(struct cli_report *report, const char *folder, struct specs *specs)
{
        char path[PATH_MAX];
        struct dirent *entry;
        DIR *dir = opendir(folder);
        specs->seen = json_object();
        while (dir && (entry = readdir(dir))) {
                const char *dot = strrchr(entry->d_name, '.');
                snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
                if (dot && strcmp(dot, ".json") == 0)
                        check_spec(report, path, specs);
        }
        if (dir)
                closedir(dir);
        json_decref(specs->seen);
}

void cli_doctor_containers(struct cli_report *report)
{
        cli_autojson json_t *all = json_object();
        struct specs specs = {.all = all};
        check_engines(report);
        for (size_t i = 0; i < COUNT(folder_table); i++)
                check_folder(report, folder_table[i], &specs);
        if (!specs.is_read)
                cli_report_add(report, "cdi", CLI_FINDING_OK, "", "engines are told of no vGPU: the system's daemon has none, or does not run");
}
