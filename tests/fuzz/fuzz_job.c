/* SPDX-License-Identifier: Apache-2.0
 * DIR/spec and DIR/status: what is accepted is within bounds and reads the same after it was written again. */
#include "base/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spec(const char *bytes, size_t size)
{
        struct fg_job_spec spec, back;
        char *text;
        size_t length;
        if (fg_job_spec_read(bytes, size, &spec, NULL) < 0)
                return;
        assert(spec.argc >= 1 && spec.argc <= FG_JOB_WORDS_MAX && spec.envc <= FG_JOB_WORDS_MAX);
        assert(!spec.argv[spec.argc] && !spec.env[spec.envc]);
        assert(fg_job_spec_check(&spec, NULL) == 0);
        assert(fg_job_spec_write(&spec, &text, &length, NULL) == 0);
        assert(fg_job_spec_read(text, length, &back, NULL) == 0);
        assert(back.argc == spec.argc && back.envc == spec.envc && strcmp(back.id, spec.id) == 0 && strcmp(back.cwd, spec.cwd) == 0);
        assert(back.uid == spec.uid && back.gid == spec.gid && back.time_limit == spec.time_limit && back.grace == spec.grace);
        assert(back.log_max == spec.log_max && back.pids_max == spec.pids_max && back.group == spec.group && back.background == spec.background);
        for (uint32_t i = 0; i < spec.argc; i++)
                assert(strcmp(back.argv[i], spec.argv[i]) == 0);
        for (uint32_t i = 0; i < spec.envc; i++)
                assert(strcmp(back.env[i], spec.env[i]) == 0);
        free(text);
        fg_job_spec_free(&spec);
        fg_job_spec_free(&back);
}

static void check_status(const char *bytes, size_t size)
{
        struct fg_job_status status, back;
        char text[FG_JOB_STATUS_MAX];
        if (fg_job_status_read(bytes, size, &status) < 0)
                return;
        assert(status.state <= FG_JOB_ENDED && status.why < FG_JOB_WHY_COUNT && status.group <= FG_JOB_GROUP_NONE);
        size_t length = fg_job_status_write(&status, text);
        assert(length < sizeof text);
        assert(fg_job_status_read(text, length, &back) == 0);
        assert(memcmp(&back, &status, sizeof back) == 0);
        for (size_t cut = 0; cut < length; cut++)
                assert(fg_job_status_read(text, cut, &back) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *bytes = malloc(size + 1);
        if (!bytes)
                return 0;
        memcpy(bytes, data, size);
        check_spec(bytes, size);
        check_status(bytes, size);
        free(bytes);
        return 0;
}
