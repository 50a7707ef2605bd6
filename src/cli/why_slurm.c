/* SPDX-License-Identifier: Apache-2.0
 * Why a job of Slurm's waits: Slurm's own word for it, in a sentence. Its vGPUs, "slurm-JOB", are made when it starts; before that Slurm
 * alone knows of it. */
#include "cli/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *reason, *text, *remedy; /* of squeue's %r, or its beginning */
        bool size;                          /* it is about what the job asks for */
} reason_table[] = {
        {"Resources", "no node has what it needs free", "something that runs ends, or it asks for less", true},
        {"Priority", "jobs of a higher priority are before it", NULL},
        {"BeginTime", "its time to begin has not come", "scontrol update JobId=JOB StartTime=now"},
        {"Dependency", "a job that it depends on has not ended", NULL},
        {"JobHeldUser", "it is held", "scontrol release JOB"},
        {"JobHeldAdmin", "an administrator holds it", NULL},
        {"PartitionDown", "its partition is down", NULL},
        {"ReqNodeNotAvail", "a node that it needs is down or drained", "sinfo -R says why"},
        {"Nodes required for job are DOWN", "nodes that it needs are down or drained", "sinfo -R says why"},
        {"BadConstraints", "no node can ever be what it asks for", "cancel it and ask for less, or for other features", true},
        {"PartitionTimeLimit", "its time limit is above its partition's", "scontrol update JobId=JOB TimeLimit=MINUTES"},
        {"QOS", "a limit of its quality of service is reached", NULL},
        {"Assoc", "a limit of its account is reached", NULL},
};

/* "slurm-17", of no restart and no single vGPU; 0: another name. */
static unsigned long job_of(const char *name)
{
        char *end;
        if (strncmp(name, "slurm-", 6) != 0 || name[6] < '1' || name[6] > '9')
                return 0;
        unsigned long id = strtoul(name + 6, &end, 10);
        return *end || id > UINT32_MAX ? 0 : id;
}

/* squeue's line of a job that waits, cut up; false: it does not wait, or there is no Slurm here. */
static bool ask(unsigned long id, char line[512], char *ret_part[4])
{
        char command[128];
        snprintf(command, sizeof command, "squeue -h -j %lu -o '%%T|%%r|%%S|%%b' 2>/dev/null", id);
        FILE *squeue = popen(command, "re");
        bool found = squeue && fgets(line, 512, squeue) && strncmp(line, "PENDING|", 8) == 0;
        if (squeue)
                pclose(squeue);
        line[found ? strcspn(line, "\n") : 0] = 0;
        for (unsigned i = 0; found && i < 4; i++) {
                ret_part[i] = strsep(&line, "|");
                found = ret_part[i] != NULL;
        }
        return found;
}

static void explain(const char *reason, const char *wants, char *text, size_t len, const char **remedy)
{
        *remedy = NULL;
        snprintf(text, len, "Slurm says %s", reason);
        for (size_t i = 0; i < sizeof reason_table / sizeof *reason_table; i++)
                if (strncasecmp(reason, reason_table[i].reason, strlen(reason_table[i].reason)) == 0) {
                        bool gres = reason_table[i].size && strstr(wants, "shard:");
                        snprintf(text, len, "%s%s%s%s (Slurm: %s)", reason_table[i].text, gres ? ", among others " : "", gres ? strstr(wants, "shard:") + 6 : "",
                                 gres ? " shards of a GPU on each of its nodes" : "", reason);
                        *remedy = reason_table[i].remedy;
                        return;
                }
}

bool cli_why_slurm(const char *name, json_t **ret)
{
        char line[512] = "", text[400], *part[4];
        const char *remedy;
        unsigned long id = job_of(name);
        if (!id || !ask(id, line, part))
                return false;
        explain(part[1], part[3], text, sizeof text, &remedy);
        *ret = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "state", "pending", "reason", part[1], "text", text);
        if (remedy)
                json_object_set_new(*ret, "remedy", json_string(remedy));
        if (strcmp(part[2], "N/A") != 0)
                json_object_set_new(*ret, "start", json_string(part[2]));
        return *ret != NULL;
}
