/* SPDX-License-Identifier: Apache-2.0
 * bill_make FOLDER [SEED]: writes a daemon's money log of November 2026 into it, for tests of what reads one. Another seed
 * makes another history, signed by the same key. */
#include "unit.h"
#include "bill_world.h"

static FILE *open_in(const char *folder, const char *name)
{
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *f = fopen(path, "w");
        if (!f) {
                perror(path);
                exit(1);
        }
        return f;
}

static void make(const char *folder, uint64_t random)
{
        struct world world;
        uint8_t seed[32] = {7};
        char note[FG_TLOG_NOTE_MAX], key[FG_TLOG_BASE64(32)];
        world_november(&world, random);
        world_sign(&world, note);
        fg_tlog_base64(seed, sizeof seed, key, sizeof key);
        FILE *f = open_in(folder, "records.log");
        for (size_t i = 0; i < world.count; i++)
                fprintf(f, "%s\n", world.line[i]);
        fclose(f);
        f = open_in(folder, "hashes");
        fwrite(world.leaf, sizeof world.leaf[0], world.count, f);
        fclose(f);
        f = open_in(folder, "checkpoint");
        fputs(note, f);
        fclose(f);
        f = open_in(folder, "key");
        fprintf(f, "%s\n", key);
        fclose(f);
        world_end(&world);
}

static const char *folder_name;
static uint64_t history = 11;

static void test_make(void **state)
{
        make(folder_name, history);
}

/* Inside cmocka: the world's assertions need it. */
int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_make)};
        if (argc < 2)
                return 2;
        folder_name = argv[1];
        if (argc > 2)
                history = strtoull(argv[2], NULL, 10);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
