/* SPDX-License-Identifier: Apache-2.0
 * What `doctor` looks at. Every check adds one finding or more. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <jansson.h>

enum cli_finding { CLI_FINDING_OK, CLI_FINDING_WARN, CLI_FINDING_FAIL };

struct cli_report {
        json_t *findings; /* {"check", "verdict", "text", "mend"} */
        unsigned failed, warned;
};

/* `mend`: what to do about it, "" where all is well. */
__attribute__((format(printf, 5, 6))) void cli_report_add(struct cli_report *report, const char *check,
                                                          enum cli_finding verdict, const char *mend,
                                                          const char *format, ...);

void cli_doctor_system(struct cli_report *report); /* kernel, cgroups, folders */
void cli_doctor_hardware(struct cli_report *report); /* modules, device nodes, IOMMU */
void cli_doctor_opencl(struct cli_report *report); /* loader, layer, drivers, devices */
void cli_doctor_nvidia(struct cli_report *report); /* GPUs by NVML, drop-ins */
void cli_doctor_containers(struct cli_report *report); /* engines, specs of CDI */
void cli_doctor_daemon(struct cli_report *report); /* program, daemon, versions, its devices */

#endif
