/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * What the plugin does with sets of jobs that are over, beside a scripted daemon, and what it keeps of them until Slurm has it. */
#include "unit.h"

#include "integrations/slurm/slurm.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], untold[96];

static int set_up(void **state)
{
        unit_make_folder(folder);
        snprintf(untold, sizeof untold, "%s/untold", folder);
        return 0;
}

static int tear_down(void **state)
{
        unit_remove_folder(folder);
        return 0;
}

/* --- what is kept --- */

static unsigned kept(void)
{
        unsigned count = 0;
        DIR *all = opendir(untold);
        while (all && readdir(all))
                count++;
        if (all)
                closedir(all);
        return count ? count - 2 : 0; /* . and .. */
}

struct told {
        char text[512]; /* "JOB:UID:ENTRY " of each */
        unsigned calls, last;
        int answer;
        bool keep_more;
};

static int tell(uint32_t uid, uint32_t job, const char *entry, bool last, void *data)
{
        struct told *told = data;
        size_t at = strlen(told->text);
        snprintf(told->text + at, sizeof told->text - at, "%u:%u:%s ", job, uid, entry);
        told->calls++;
        told->last += last;
        /* While it is told, the same run of the job has used more. */
        if (told->keep_more)
                assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1:vgpus=1,gpu_us=9"), 0);
        told->keep_more = false;
        return told->answer;
}

static void test_told_once(void **state)
{
        struct told told = {0};
        assert_false(fgi_slurm_untold_any(untold));
        fgi_slurm_untold_tell(untold, 0, tell, &told); /* without a folder, too */
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1.2:vgpus=1,gpu_us=7"), 0);
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1.2:vgpus=1,gpu_us=7"), 0);
        assert_int_equal(kept(), 1);
        assert_true(fgi_slurm_untold_any(untold));
        fgi_slurm_untold_tell(untold, 60000, tell, &told);
        assert_string_equal(told.text, "17:1000:n1.2:vgpus=1,gpu_us=7 ");
        assert_int_equal(kept(), 0);
}

/* Of two sets of one name neither overwrites the other, and what comes while one tells is told as well, not taken away with what was. */
static void test_none_is_lost(void **state)
{
        struct told told = {.keep_more = true};
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1:vgpus=1,gpu_us=7"), 0);
        assert_int_equal(fgi_slurm_untold_keep(untold, 1001, 17, "n1:vgpus=2,gpu_us=8"), 0);
        assert_int_equal(kept(), 2);
        fgi_slurm_untold_tell(untold, 60000, tell, &told);
        assert_non_null(strstr(told.text, "17:1000:n1:vgpus=1,gpu_us=7 "));
        assert_non_null(strstr(told.text, "17:1001:n1:vgpus=2,gpu_us=8 "));
        assert_non_null(strstr(told.text, "17:1000:n1:vgpus=1,gpu_us=9 "));
        assert_int_equal(kept(), 0);
}

static void test_what_is_not_taken_stays(void **state)
{
        struct told told = {.answer = -EAGAIN};
        char other[128];
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1:vgpus=1,gpu_us=7"), 0);
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 18, "n1:vgpus=1,gpu_us=7"), 0);
        /* Somebody else's file is nothing to tell. */
        snprintf(other, sizeof other, "%s/17.0", untold);
        assert_int_equal(mkdir(other, 0700), 0);
        fgi_slurm_untold_tell(untold, 300, tell, &told);
        assert_true(told.calls >= 2 && told.calls % 2 == 0);
        assert_int_equal(told.last, 2);
        assert_int_equal(kept(), 3);
        /* No answer to one is none to the others. */
        told = (struct told){.answer = -EHOSTDOWN};
        fgi_slurm_untold_tell(untold, 0, tell, &told);
        assert_int_equal(told.calls, 1);
        assert_int_equal(kept(), 3);
}

static int tell_beside(uint32_t uid, uint32_t job, const char *entry, bool last, void *data)
{
        struct told *other = data;
        fgi_slurm_untold_tell(untold, 60000, tell, other);
        return 0;
}

static void test_one_tells(void **state)
{
        struct told other = {0};
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1:vgpus=1,gpu_us=7"), 0);
        fgi_slurm_untold_tell(untold, 60000, tell_beside, &other);
        assert_int_equal(other.calls, 0);
        assert_int_equal(kept(), 0);
}

static void test_nowhere_to_keep(void **state)
{
        FILE *file = fopen(untold, "w");
        assert_non_null(file);
        fclose(file);
        assert_int_equal(fgi_slurm_untold_keep(untold, 1000, 17, "n1:vgpus=1,gpu_us=7"), -ENOTDIR);
}

/* --- sets --- */

static struct {
        pthread_t thread;
        int fd;
        char asked[1024]; /* "GET /…" of each, a line each */
        struct fgi_slurm_config config;
} daemon_;

static const char *answer_to(const char *request)
{
        if (strncmp(request, "GET /v1/vgpus ", 14) == 0)
                return "200 OK\r\n\r\n{\"sets\": [{\"name\": \"slurm-17\", \"project\": \"red\", \"owner\": \"alice\"},"
                       "{\"name\": \"slurm-17\", \"project\": \"black\", \"owner\": \"mallory\"}, {\"name\": \"slurm-18\", \"project\": \"red\", \"owner\": \"robot\"}]}";
        if (strncmp(request, "GET /v1/vgpus/", 14) == 0)
                return "200 OK\r\n\r\n{\"vgpus\": [{\"gpu_ns\": 7000}]}";
        if (strncmp(request, "GET /v1/users/alice ", 20) == 0)
                return "200 OK\r\n\r\n{\"uid\": 1000}";
        if (strncmp(request, "GET /v1/users/mallory ", 22) == 0)
                return "200 OK\r\n\r\n{\"uid\": 1001}";
        if (strncmp(request, "GET /v1/users/robot ", 20) == 0)
                return "200 OK\r\n\r\n{\"name\": \"robot\"}";
        return "204 No Content\r\n\r\n";
}

static void *serve(void *data)
{
        char request[1024];
        for (;;) {
                int fd = accept(daemon_.fd, NULL, NULL);
                if (fd < 0)
                        return NULL;
                ssize_t n = read(fd, request, sizeof request - 1);
                request[n > 0 ? n : 0] = '\0';
                size_t at = strlen(daemon_.asked);
                snprintf(daemon_.asked + at, sizeof daemon_.asked - at, "%.*s\n", (int)strcspn(request, "\r"), request);
                dprintf(fd, "HTTP/1.0 %s", answer_to(request));
                close(fd);
        }
}

static int start_daemon(void **state)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        set_up(state);
        memset(&daemon_, 0, sizeof daemon_);
        snprintf(daemon_.config.socket, sizeof daemon_.config.socket, "%s/api.sock", folder);
        snprintf(at.sun_path, sizeof at.sun_path, "%s", daemon_.config.socket);
        daemon_.fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(daemon_.fd, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(listen(daemon_.fd, 8), 0);
        return pthread_create(&daemon_.thread, NULL, serve, NULL);
}

static int stop_daemon(void **state)
{
        shutdown(daemon_.fd, SHUT_RDWR);
        pthread_join(daemon_.thread, NULL);
        close(daemon_.fd);
        return tear_down(state);
}

struct left {
        char text[256];
        int answer;
};

static int left(const struct fgi_slurm_job *job, const struct fgi_slurm_use *use, void *data)
{
        struct left *left = data;
        char deleted[128];
        size_t at = strlen(left->text);
        /* Before its set is gone. */
        snprintf(deleted, sizeof deleted, "DELETE /v1/vgpus/%s:slurm-%u", job->config->project, job->id);
        assert_null(strstr(daemon_.asked, deleted));
        snprintf(left->text + at, sizeof left->text - at, "%u of %u: %u, %u; ", job->id, job->uid, use->vgpus, (unsigned)use->gpu_us);
        return left->answer;
}

/* Each with its owner's uid; whoever has none has no jobs. */
static void test_sweep(void **state)
{
        struct left all = {0};
        assert_int_equal(fgi_slurm_job_sweep(&daemon_.config, left, &all), 0);
        assert_string_equal(all.text, "17 of 1000: 1, 7; 17 of 1001: 1, 7; ");
        assert_non_null(strstr(daemon_.asked, "DELETE /v1/vgpus/red:slurm-17 "));
        assert_non_null(strstr(daemon_.asked, "DELETE /v1/vgpus/black:slurm-17 "));
        assert_null(strstr(daemon_.asked, "slurm-18"));
}

/* A set whose use could be kept nowhere stays for the next start. */
static void test_sweep_keeps_nothing(void **state)
{
        struct left all = {.answer = -ENOSPC};
        assert_int_equal(fgi_slurm_job_sweep(&daemon_.config, left, &all), 0);
        assert_null(strstr(daemon_.asked, "DELETE"));
}

/* An epilog takes the job's own away even then. */
static void test_end(void **state)
{
        struct fgi_slurm_job job = {.id = 17, .uid = 1000, .config = &daemon_.config};
        struct left all = {.answer = -ENOSPC};
        char error[FGI_SLURM_TEXT];
        assert_int_equal(fgi_slurm_job_end(&job, left, &all, error, sizeof error), 0);
        assert_string_equal(all.text, "17 of 1000: 1, 7; ");
        assert_non_null(strstr(daemon_.asked, "DELETE /v1/vgpus/red:slurm-17?force=1 "));
        assert_null(strstr(daemon_.asked, "black"));
}

/* Where plugstack.conf names a project, its other members may have named sets of theirs after the job. */
static void test_end_in_project(void **state)
{
        struct fgi_slurm_job job = {.id = 17, .uid = 1000, .config = &daemon_.config};
        struct left all = {0};
        char error[FGI_SLURM_TEXT];
        struct fgi_slurm_use use;
        strcpy(daemon_.config.project, "black");
        assert_int_equal(fgi_slurm_job_end(&job, left, &all, error, sizeof error), 0);
        assert_int_equal(fgi_slurm_job_use(&job, &use, error, sizeof error), 0);
        assert_int_equal(use.vgpus, 0);
        assert_null(strstr(daemon_.asked, "slurm-17"));
        job.uid = 1001;
        assert_int_equal(fgi_slurm_job_end(&job, left, &all, error, sizeof error), 0);
        assert_string_equal(all.text, "17 of 1001: 1, 7; ");
        assert_non_null(strstr(daemon_.asked, "DELETE /v1/vgpus/black:slurm-17?force=1 "));
        assert_null(strstr(daemon_.asked, "red"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_told_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_none_is_lost, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_not_taken_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_one_tells, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nowhere_to_keep, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sweep, start_daemon, stop_daemon),
                cmocka_unit_test_setup_teardown(test_sweep_keeps_nothing, start_daemon, stop_daemon),
                cmocka_unit_test_setup_teardown(test_end, start_daemon, stop_daemon),
                cmocka_unit_test_setup_teardown(test_end_in_project, start_daemon, stop_daemon),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
