/* SPDX-License-Identifier: Apache-2.0
 * What processes share: capacity under races, and what becomes of the memory of those that die, at whatever
 * instruction. */
#include "sim_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <time.h>

#define MEMORY  (1 * GI)
#define CONTEXT (4 * MI)

/* Children are programs of their own: a forked one could not use CUDA. */
static pid_t start(const char *mode, int number, int *ret_pipe)
{
        int ends[2];
        char text[16], fd[16];
        CHECK(pipe(ends) == 0);
        snprintf(text, sizeof text, "%d", number);
        snprintf(fd, sizeof fd, "%d", ends[1]);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                close(ends[0]);
                execl("/proc/self/exe", "test_shared", mode, text, fd, NULL);
                _exit(127);
        }
        close(ends[1]);
        *ret_pipe = ends[0];
        return pid;
}

static void wait_ready(int fd)
{
        char byte;
        CHECK(read(fd, &byte, 1) == 1);
        close(fd);
}

static int end(pid_t pid, int sig)
{
        int status;
        if (sig)
                kill(pid, sig);
        CHECK(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- children ---- */
static void say_ready(int fd)
{
        CHECK(write(fd, "r", 1) == 1);
}

/* Allocates and frees at random, for ever or `rounds` times; of every kind that takes memory. */
static int churn(int rounds, int ready)
{
        CUdeviceptr p[64] = {0};
        bool async[64] = {0};
        unsigned state = (unsigned)getpid();
        CUcontext ctx;
        OK(cuInit(0));
        /* The others may have it all just now. */
        while (cuCtxCreate_v2(&ctx, 0, 0) == CUDA_ERROR_OUT_OF_MEMORY)
                usleep(1000);
        say_ready(ready);
        for (int i = 0; rounds == 0 || i < rounds; i++) {
                unsigned at = rand_r(&state) % 64;
                if (p[at])
                        OK(async[at] ? cuMemFreeAsync(p[at], NULL) : cuMemFree_v2(p[at]));
                p[at] = 0;
                async[at] = rand_r(&state) % 8 == 0;
                size_t bytes = 1 + rand_r(&state) % (40 * MI);
                CUresult result = async[at] ? cuMemAllocAsync(&p[at], bytes, NULL) : cuMemAlloc_v2(&p[at], bytes);
                CHECK(result == CUDA_SUCCESS || result == CUDA_ERROR_OUT_OF_MEMORY);
                sim_free();
        }
        return 0;
}

/* All that is left, in one piece: sleeps with it. */
static int hold(int megabytes, int ready)
{
        CUdeviceptr p;
        sim_context(0);
        OK(cuMemAlloc_v2(&p, (size_t)megabytes * MI));
        say_ready(ready);
        pause();
        return 0;
}

/* Becomes another program, which has nothing. */
static int become(int megabytes, int ready)
{
        CUdeviceptr p;
        sim_context(0);
        OK(cuMemAlloc_v2(&p, (size_t)megabytes * MI));
        fcntl(ready, F_SETFD, FD_CLOEXEC); /* closes in the moment of the execve() */
        execlp("sleep", "sleep", "60", NULL);
        return 1;
}

/* Between two stops, one allocation and one free, to be single-stepped through. */
static int stepped(int unused, int ready)
{
        CUdeviceptr p;
        sim_context(0);
        OK(cuMemAlloc_v2(&p, MI));
        OK(cuMemFree_v2(p));
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        say_ready(ready);
        raise(SIGSTOP);
        OK(cuMemAlloc_v2(&p, 3 * MI));
        OK(cuMemFree_v2(p));
        raise(SIGSTOP);
        return 0;
}

/* Starts, does little, ends. */
static int brief(int unused, int ready)
{
        CUdeviceptr p;
        sim_context(0);
        OK(cuMemAlloc_v2(&p, MI));
        say_ready(ready);
        return 0;
}

/* ---- the parent ---- */
static void race(void)
{
        enum { PROCESSES = 8 };
        pid_t pid[PROCESSES];
        int fd[PROCESSES];
        for (int i = 0; i < PROCESSES; i++)
                pid[i] = start("churn", 1500, &fd[i]);
        for (int i = 0; i < PROCESSES; i++) {
                CHECK(end(pid[i], 0) == 0);
                close(fd[i]);
        }
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static void kills(void)
{
        for (int round = 0; round < 40; round++) {
                pid_t pid[3];
                int fd[3];
                struct timespec moment = {.tv_nsec = (round * 37 % 40) * 50000};
                for (int i = 0; i < 3; i++)
                        pid[i] = start("churn", 0, &fd[i]);
                for (int i = 0; i < 3; i++)
                        wait_ready(fd[i]);
                nanosleep(&moment, NULL);
                for (int i = 0; i < 3; i++)
                        CHECK(end(pid[i], SIGKILL) == 128 + SIGKILL);
                CHECK(sim_free() == MEMORY - CONTEXT);
        }
}

/* Nobody has waited for it yet, but it is dead. */
static void zombie(void)
{
        int fd;
        pid_t pid = start("hold", 900, &fd);
        CUdeviceptr p;
        wait_ready(fd);
        CHECK(sim_free() == MEMORY - 2 * CONTEXT - 900 * MI);
        IS(cuMemAlloc_v2(&p, 200 * MI), CUDA_ERROR_OUT_OF_MEMORY);
        kill(pid, SIGKILL);
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
        OK(cuMemAlloc_v2(&p, 200 * MI));
        OK(cuMemFree_v2(p));
        CHECK(sim_free() == MEMORY - CONTEXT);
        end(pid, 0);
}

static void stopped(void)
{
        int fd;
        pid_t pid = start("churn", 0, &fd);
        CUdeviceptr p;
        wait_ready(fd);
        for (int i = 0; i < 200; i++) {
                kill(pid, i % 2 ? SIGCONT : SIGSTOP);
                CUresult result = cuMemAlloc_v2(&p, MI);
                CHECK(result == CUDA_SUCCESS || result == CUDA_ERROR_OUT_OF_MEMORY);
                if (result == CUDA_SUCCESS)
                        OK(cuMemFree_v2(p));
        }
        end(pid, SIGKILL);
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static void replaced(void)
{
        int fd;
        char byte;
        CUdeviceptr p;
        pid_t pid = start("become", 900, &fd);
        CHECK(read(fd, &byte, 1) == 0);
        close(fd);
        OK(cuMemAlloc_v2(&p, MEMORY - CONTEXT));
        OK(cuMemFree_v2(p));
        end(pid, SIGKILL);
}

/* Dies after `steps` instructions. False: it came to the second stop before. */
static bool die_after(int steps)
{
        int fd, status;
        pid_t pid = start("stepped", 0, &fd);
        wait_ready(fd);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        bool inside = true;
        for (int i = 0; i < steps && inside; i++) {
                CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
                CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
                inside = WSTOPSIG(status) == SIGTRAP;
        }
        end(pid, SIGKILL);
        return inside;
}

/* Somebody else works on the same counter meanwhile, so that the dead one's last operation is overwritten. */
static void every_step(void)
{
        CUdeviceptr p;
        int steps = 1, tried = 0;
        if (access("/proc/self/status", R_OK) != 0 || getenv("SIM_TEST_NO_PTRACE"))
                return;
        for (; die_after(steps); steps += 9, tried++) {
                if (tried % 2)
                        OK(cuMemAlloc_v2(&p, MI));
                CHECK(sim_free() == MEMORY - CONTEXT - (tried % 2 ? MI : 0));
                if (tried % 2)
                        OK(cuMemFree_v2(p));
        }
        CHECK(tried > 20);
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static void many_at_once(void)
{
        enum { PROCESSES = 64 };
        pid_t pid[PROCESSES];
        int fd[PROCESSES];
        for (int i = 0; i < PROCESSES; i++)
                pid[i] = start("brief", 0, &fd[i]);
        for (int i = 0; i < PROCESSES; i++) {
                CHECK(end(pid[i], 0) == 0);
                close(fd[i]);
        }
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static int child(char **argv)
{
        static const struct {
                const char *mode;
                int (*run)(int number, int ready);
        } modes[] = {{"churn", churn}, {"hold", hold}, {"become", become}, {"stepped", stepped}, {"brief", brief}};
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
                if (strcmp(argv[1], modes[i].mode) == 0)
                        return modes[i].run(atoi(argv[2]), atoi(argv[3]));
        return 2;
}

int main(int argc, char **argv)
{
        if (argc == 4)
                return child(argv);
        sim_start("[gpu]\nmodel = Test\nmemory = 1G\ncontext = 4M\nlaunch = 0\n");
        alarm(150);
        sim_context(0);
        CHECK(sim_free() == MEMORY - CONTEXT);
        race();
        kills();
        zombie();
        stopped();
        replaced();
        many_at_once();
        every_step();
        return 0;
}
