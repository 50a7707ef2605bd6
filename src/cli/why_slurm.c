/* SPDX-License-Identifier: Apache-2.0
 * Why a job of Slurm's waits: Slurm's own word for it, in a sentence. Its vGPUs, "slurm-JOB", are made when it starts; before that Slurm
 * alone knows of it. */
#include "cli/job.h"

#include <stdio.h>
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

/* The job of "slurm-17" or "slurm-17_3", an array's element, of no restart and no single vGPU; NULL: another name. */
static const char *job_of(const char *name)
{
        const char *id = name + 6;
        if (strncmp(name, "slurm-", 6) != 0 || *id < '1' || *id > '9')
                return NULL;
        size_t n = strspn(id, "0123456789"), element = id[n] == '_' ? 1 + strspn(id + n + 1, "0123456789") : 0;
        return n > 10 || element == 1 || element > 11 || id[n + element] ? NULL : id;
}

/* squeue's line of a job that waits, or whose nodes are being started, cut up; false: it does neither, or there is no Slurm here. */
static bool ask(const char *id, char line[512], char *ret_part[4])
{
        char command[128];
        snprintf(command, sizeof command, "squeue -h -j %s -o '%%T|%%r|%%S|%%b' 2>/dev/null", id);
        FILE *squeue = popen(command, "re");
        bool found = squeue && fgets(line, 512, squeue) && (strncmp(line, "PENDING|", 8) == 0 || strncmp(line, "CONFIGURING|", 12) == 0);
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
        char line[512] = "", text[400] = "its nodes are being started (Slurm: CONFIGURING)", *part[4];
        const char *remedy = NULL, *id = job_of(name);
        if (!id || !ask(id, line, part))
                return false;
        bool starts = *part[0] == 'C';
        if (!starts)
                explain(part[1], part[3], text, sizeof text, &remedy);
        *ret = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "state", starts ? "configuring" : "pending", "reason", part[1], "text", text);
        if (remedy)
                json_object_set_new(*ret, "remedy", json_string(remedy));
        if (!starts && strcmp(part[2], "N/A") != 0)
                json_object_set_new(*ret, "start", json_string(part[2]));
        return *ret != NULL;
}
