/* SPDX-License-Identifier: Apache-2.0
 *
 * The entries themselves, by the symbols that a linked program uses: arguments through the first use, names that the
 * driver lacks, threads that come first together, fork, exec, a driver that is not ready or not there. argv[1] says
 * which. */
#include "core_test.h"

#include "abi/cuda.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 16

/* As the scripted driver has it; see there. */
typedef CUresult many_fn(long, long, long, long, long, long, double, double, double, double, double, double, double,
                         double, long, long, double, long);

/* Connections to the daemon. */
static int connections(void)
{
        int count = 0, type;
        socklen_t size = sizeof(type);

        for (int fd = 3; fd < 1024; fd++)
                count += getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
        return count;
}

static void *driver_sym(const char *name)
{
        return dlsym(dlopen(getenv("CORE_DRIVER"), RTLD_LAZY | RTLD_NOLOAD), name);
}

static void test_arguments(void)
{
        many_fn *many = (many_fn *)(void *)cuTexRefSetMipmapLevelBias;

        for (int i = 0; i < 2; i++)
                CHECK(many(1, 2, 3, 4, 5, 6, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 7, 8, 8.5, 9) == 4711);
        CHECK(cuCtxGetLimit(NULL, CU_LIMIT_STACK_SIZE) == CUDA_SUCCESS);
        CHECK(strcmp(((scripted_last_fn *)driver_sym("scripted_last"))(), "cuCtxGetLimit") == 0);
}

static void test_lacking(void)
{
        const void *table;
        CUuuid id = {{0}};

        CHECK(cuGetExportTable(&table, &id) == CUDA_ERROR_NOT_SUPPORTED);
        CHECK(cuGreenCtxDestroy(NULL) == CUDA_ERROR_NOT_SUPPORTED);
        CHECK(cuGreenCtxDestroy(NULL) == CUDA_ERROR_NOT_SUPPORTED);
        CHECK(cuFuncGetModule(NULL, NULL) == CUDA_ERROR_NOT_SUPPORTED);
}

static pthread_barrier_t together;

static void *first_use(void *number)
{
        intptr_t which = (intptr_t)number;
        int version = 0, count = 0;

        pthread_barrier_wait(&together);
        if (which % 3 == 0)
                CHECK(cuDriverGetVersion(&version) == CUDA_SUCCESS && version == 13000);
        if (which % 3 == 1)
                CHECK(of_driver(dlsym(RTLD_DEFAULT, "cuCtxGetLimit")) || !getenv("LD_PRELOAD"));
        CHECK(cuInit(0) == CUDA_SUCCESS);
        CHECK(cuDeviceGetCount(&count) == CUDA_SUCCESS && count == 1, "%d", count);
        return NULL;
}

static void test_threads(void)
{
        pthread_t thread[THREADS];

        pthread_barrier_init(&together, NULL, THREADS);
        for (intptr_t i = 0; i < THREADS; i++)
                pthread_create(&thread[i], NULL, first_use, (void *)i);
        for (int i = 0; i < THREADS; i++)
                pthread_join(thread[i], NULL);
        CHECK(connections() == 1, "%d", connections());
}

static int in_child(int (*function)(void))
{
        int status;
        pid_t child = fork();

        if (child == 0)
                _exit(function());
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The parent's driver does not work here, and the parent's account is not ours. */
static CUresult (*inherited_alloc)(CUdeviceptr *, size_t);

static int child_of_used(void)
{
        CUdeviceptr address;
        void *found;
        int count;

        failures = 0;
        CHECK(connections() == 0, "%d", connections());
        CHECK(cuInit(0) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(cuMemAlloc_v2(&address, 4096) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(inherited_alloc(&address, 4096) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(cuGetProcAddress("cuMemAlloc", &found, 12000, 0) == CUDA_SUCCESS);
        CHECK(((CUresult(*)(CUdeviceptr *, size_t))found)(&address, 4096) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(connections() == 0, "%d", connections());
        return failures;
}

/* The parent had only looked: this is a process of its own. */
static int child_of_new(void)
{
        int count = 0;

        failures = 0;
        CHECK(connections() == 0, "%d", connections());
        CHECK(cuInit(0) == CUDA_SUCCESS);
        CHECK(cuDeviceGetCount(&count) == CUDA_SUCCESS && count == 1);
        CHECK(connections() == 1, "%d", connections());
        CHECK(in_child(child_of_used) == 0);
        return failures;
}

static int child_of_none(void)
{
        failures = 0;
        CHECK(cuInit(0) == CUDA_SUCCESS && connections() == 1, "%d", connections());
        return failures;
}

static void test_fork(void)
{
        int version, count = 0;

        void *found = NULL;

        CHECK(in_child(child_of_none) == 0);
        CHECK(cuDriverGetVersion(&version) == CUDA_SUCCESS && connections() == 1);
        CHECK(cuGetProcAddress("cuMemAlloc", &found, 12000, 0) == CUDA_SUCCESS && found);
        inherited_alloc = (CUresult(*)(CUdeviceptr *, size_t))found;
        CHECK(in_child(child_of_new) == 0);
        CHECK(cuInit(0) == CUDA_SUCCESS && connections() == 1);
        CHECK(in_child(child_of_used) == 0);
        CHECK(cuDeviceGetCount(&count) == CUDA_SUCCESS && count == 1 && connections() == 1);
}

/* An image that is left behind takes its session with it. */
static void test_exec(char *program)
{
        CHECK(cuInit(0) == CUDA_SUCCESS && connections() == 1);
        if (!failures)
                execl(program, program, "after-exec", (char *)NULL);
        failures++;
}

static void test_after_exec(void)
{
        CHECK(connections() == 0, "%d", connections());
        CHECK(cuInit(0) == CUDA_SUCCESS && connections() == 1, "%d", connections());
}

static void test_again(void)
{
        scripted_inits_fn *inits;

        CHECK(cuInit(1) == CUDA_ERROR_INVALID_VALUE);
        CHECK(cuInit(0) == CUDA_SUCCESS && cuInit(0) == CUDA_SUCCESS);
        inits = (scripted_inits_fn *)driver_sym("scripted_inits");
        CHECK(inits() == 4, "%d", inits()); /* three of ours, and its own to itself */
        CHECK(connections() == 1);
}

static void test_unready(void)
{
        CHECK(cuInit(0) == CUDA_ERROR_SYSTEM_NOT_READY);
        CHECK(cuInit(0) == CUDA_SUCCESS);
}

/* No session, or no driver: the program is told so in words that it understands. */
static void test_closed(void)
{
        const char *text = NULL;
        void *found = NULL;
        int version = -1, count = 0;

        CHECK(cuDriverGetVersion(&version) == CUDA_SUCCESS && version >= 0, "%d", version);
        CHECK(cuInit(0) == CUDA_ERROR_NO_DEVICE && cuInit(0) == CUDA_ERROR_NO_DEVICE);
        CHECK(cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(cuGetErrorName(CUDA_ERROR_NO_DEVICE, &text) == CUDA_SUCCESS && text);
        CHECK(cuGetErrorString(CUDA_ERROR_NO_DEVICE, &text) == CUDA_SUCCESS && text);
        CHECK(cuGetProcAddress("cuDeviceGetCount", &found, 12000, 0) == CUDA_SUCCESS && found);
        CHECK(found && ((CUresult(*)(int *))found)(&count) == CUDA_ERROR_NOT_INITIALIZED);
        CHECK(cuGetProcAddress_v2("cuInit", &found, 12000, 0, NULL) == CUDA_SUCCESS && found);
        CHECK(found && ((CUresult(*)(unsigned))found)(0) == CUDA_ERROR_NO_DEVICE);
        CHECK(cuGetProcAddress_v2("cuNoSuchThing", &found, 12000, 0, NULL) == CUDA_ERROR_NOT_FOUND && !found);
}

int main(int argc, char **argv)
{
        const char *test = argc > 1 ? argv[1] : "";

        if (strcmp(test, "entries") == 0)
                test_arguments(), test_lacking();
        else if (strcmp(test, "threads") == 0)
                test_threads();
        else if (strcmp(test, "fork") == 0)
                test_fork();
        else if (strcmp(test, "exec") == 0)
                test_exec(argv[0]);
        else if (strcmp(test, "after-exec") == 0)
                test_after_exec();
        else if (strcmp(test, "again") == 0)
                test_again();
        else if (strcmp(test, "unready") == 0)
                test_unready();
        else if (strcmp(test, "closed") == 0)
                test_closed();
        else
                failures++;
        return failures ? 1 : 0;
}
