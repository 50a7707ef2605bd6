/* SPDX-License-Identifier: Apache-2.0
 * Gravity among bodies, and heat on a square. A body is (x, y, z, mass). */

kernel void accelerate(global const real4 *body, global real4 *acceleration, uint n, real softening)
{
        size_t i = get_global_id(0);
        real4 here = body[i], sum = 0;

        for (uint j = 0; j < n; j++) {
                real4 to = body[j] - here;
                real square = to.x * to.x + to.y * to.y + to.z * to.z + softening * softening;
                real inverse = 1 / sqrt(square);

                sum += to * (body[j].w * inverse * inverse * inverse);
        }
        sum.w = 0;
        acceleration[i] = sum;
}

kernel void kick(global real4 *velocity, global const real4 *acceleration, real time)
{
        size_t i = get_global_id(0);

        velocity[i] += acceleration[i] * time;
}

kernel void drift(global real4 *body, global const real4 *velocity, real time)
{
        size_t i = get_global_id(0);

        body[i] += velocity[i] * time;
}

/* What this body adds to the energy: its motion, and half of what binds it to each of the others. */
kernel void energy(global const real4 *body, global const real4 *velocity, global real *part, uint n, real softening)
{
        size_t i = get_global_id(0);
        real4 here = body[i], v = velocity[i];
        real potential = 0;

        for (uint j = 0; j < n; j++) {
                real4 to = body[j] - here;

                if (j != i)
                        potential -= body[j].w / sqrt(to.x * to.x + to.y * to.y + to.z * to.z + softening * softening);
        }
        part[i] = here.w * (v.x * v.x + v.y * v.y + v.z * v.z + potential) / 2;
}

/* One explicit step; the edge stays at 0. ratio = conductivity * time / distance^2, stable up to 1/4. */
kernel void heat(global const real *now, global real *next, real ratio)
{
        size_t x = get_global_id(0), y = get_global_id(1), n = get_global_size(0), i = y * n + x;

        if (x == 0 || y == 0 || x == n - 1 || y == n - 1)
                next[i] = 0;
        else
                next[i] = now[i] + ratio * (now[i - 1] + now[i + 1] + now[i - n] + now[i + n] - 4 * now[i]);
}
