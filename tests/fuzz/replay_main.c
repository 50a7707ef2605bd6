/* SPDX-License-Identifier: Apache-2.0
 * A fuzzer as an ordinary test: every file of its corpus as it is, then `rounds` mutations of them. The mutations are
 * the same in every run, so that what fails here fails for everybody.
 *
 *      fuzz_x CORPUS ROUNDS
 *      fuzz_x FILE          one input, to look into a finding */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEEDS_MAX 1024
#define INPUT_MAX (256 * 1024)
#define REPORT    "replay: "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        uint8_t *data;
        size_t size;
};

static struct input seed[SEEDS_MAX];
static size_t seeds;
static uint64_t state = 20261123;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
        uint64_t z = (state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (z ^ (z >> 31)) % below;
}

static bool read_input(const char *path, struct input *ret)
{
        FILE *f = fopen(path, "re");
        if (!f)
                return false;
        ret->data = malloc(INPUT_MAX);
        ret->size = ret->data ? fread(ret->data, 1, INPUT_MAX, f) : 0;
        fclose(f);
        return ret->data != NULL;
}

/* Every input sits in a block of exactly its size: the sanitizers see the first byte behind it. Nothing is in none, as libFuzzer has it. */
static void run_one(const uint8_t *data, size_t size)
{
        uint8_t *exact = size ? malloc(size) : NULL;
        if (!exact && size)
                abort();
        if (size)
                memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static bool read_corpus(const char *folder)
{
        struct dirent **entry;
        int n = scandir(folder, &entry, NULL, by_name);
        for (int i = 0; i < n; i++) {
                char path[4096];
                snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
                if (entry[i]->d_name[0] != '.' && seeds < SEEDS_MAX && read_input(path, &seed[seeds]))
                        seeds++;
                free(entry[i]);
        }
        if (n >= 0)
                free(entry);
        return seeds > 0;
}

static size_t insert_bytes(uint8_t *data, size_t size, size_t at, const uint8_t *bytes, size_t n)
{
        if (size + n > INPUT_MAX)
                return size;
        memmove(data + at + n, data + at, size - at);
        memcpy(data + at, bytes, n);
        return size + n;
}

static size_t remove_bytes(uint8_t *data, size_t size, size_t at, size_t n)
{
        n = n < size - at ? n : size - at;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
}

/* Things that break parsers. */
static size_t insert_token(uint8_t *data, size_t size, size_t at)
{
        static const char *const token[] = {"-",    "%",
                                            "0",    "999999999999999999999",
                                            "\r\n", "\n",
                                            "=",    ".",
                                            "/",    " ",
                                            "1e30", "\xff",
                                            "\"",   "{",
                                            "[",    "\\u0000",
                                            ":",    "18446744073709551616",
                                            "GiB"};
        const char *text = token[draw(sizeof(token) / sizeof(token[0]))];
        return insert_bytes(data, size, at, (const uint8_t *)text, strlen(text));
}

static size_t insert_chunk(uint8_t *data, size_t size, size_t at)
{
        const struct input *other = &seed[draw(seeds)];
        uint8_t chunk[64];
        if (other->size == 0)
                return size;
        size_t from = draw(other->size), n = 1 + draw(sizeof(chunk));
        n = n < other->size - from ? n : other->size - from;
        memcpy(chunk, other->data + from, n);
        return insert_bytes(data, size, at, chunk, n);
}

static size_t mutate_once(uint8_t *data, size_t size)
{
        static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '-'};
        size_t at = size ? draw(size) : 0;
        switch (size ? draw(8) : 3 + draw(2)) {
        case 0:
                data[at] ^= (uint8_t)(1u << draw(8));
                return size;
        case 1:
                data[at] = (uint8_t)draw(256);
                return size;
        case 2:
                data[at] = edge[draw(sizeof(edge))];
                return size;
        case 3:
                return insert_token(data, size, at);
        case 4:
                return insert_chunk(data, size, at);
        case 5:
                return remove_bytes(data, size, at, 1 + draw(8));
        case 6:
                memset(data + at, edge[draw(sizeof(edge))], size - at < 8 ? size - at : 8);
                return size;
        default:
                return draw(4) ? size : at; /* cut short */
        }
}

static void run_mutations(unsigned long rounds)
{
        static uint8_t data[INPUT_MAX];
        for (unsigned long i = 0; i < rounds; i++) {
                const struct input *from = &seed[draw(seeds)];
                size_t size = from->size;
                memcpy(data, from->data, size);
                for (uint64_t steps = 1 + draw(6); steps; steps--)
                        size = mutate_once(data, size);
                run_one(data, size);
        }
}

int main(int argc, char **argv)
{
        struct stat st;
        if (argc < 2 || stat(argv[1], &st) < 0) {
                fprintf(stderr, REPORT "usage: CORPUS ROUNDS, or FILE\n");
                return 2;
        }
        if (S_ISDIR(st.st_mode) ? !read_corpus(argv[1]) : !read_input(argv[1], &seed[seeds++])) {
                fprintf(stderr, REPORT "no input in %s\n", argv[1]);
                return 1;
        }
        for (size_t i = 0; i < seeds; i++)
                run_one(seed[i].data, seed[i].size);
        unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
        run_mutations(rounds);
        printf(REPORT "%zu inputs and %lu mutations of them\n", seeds, rounds);
        for (size_t i = 0; i < seeds; i++)
                free(seed[i].data);
        return 0;
}
