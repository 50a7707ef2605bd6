#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Science: a star cluster that has to keep its energy, and heat that has to follow its formula.

    fastgpu run NAME -- examples/science/science.py --picture science.png

Gravity: bodies of a Plummer sphere, leapfrog steps. Leapfrog does not lose energy, it wobbles: a step half as long, a quarter of the
wobble. Heat: a square with cold edges that starts as two sine waves; the exact solution is known at every instant, and a grid twice as
fine is four times as close to it."""
import os
import sys

import numpy as np

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
import gpu  # noqa: E402

SOFTENING = 0.05  # in units of the cluster's size: close meetings stay smooth
RATIO = 0.2
MODES = ((1, 1, 1.0), (3, 2, 0.5))  # waves across, waves up, height


def plummer(n, seed):
    """(bodies, velocities) of a cluster at rest as a whole, total mass 1, in balance with its own gravity."""
    random = np.random.RandomState(seed)

    def directions(lengths):
        z, turn = random.uniform(-1, 1, n), random.uniform(0, 2 * np.pi, n)
        flat = np.sqrt(1 - z * z)
        return lengths[:, None] * np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1)

    radius = 1 / np.sqrt(random.uniform(0.05, 0.95, n) ** (-2 / 3) - 1)
    # Speeds: fractions q of the escape speed with density q^2 (1 - q^2)^3.5, by rejection.
    q = np.empty(0)
    while q.size < n:
        guess, height = random.uniform(0, 1, 4 * n), random.uniform(0, 0.1, 4 * n)
        q = np.append(q, guess[height < guess**2 * (1 - guess**2) ** 3.5])
    place = directions(radius)
    speed = directions(q[:n] * np.sqrt(2) * (1 + radius**2) ** -0.25)
    bodies, velocities = np.full((n, 4), 1 / n), np.zeros((n, 4))
    bodies[:, :3] = place - place.mean(0)
    velocities[:, :3] = speed - speed.mean(0)
    return bodies, velocities


class Cluster:
    def __init__(self, device, bodies, velocities):
        self.device, self.n = device, len(bodies)
        self.bodies, self.velocities = (device.buffer(array.astype(device.real)) for array in (bodies, velocities))
        self.acceleration = device.empty((self.n, 4), device.real)
        self.part = device.empty(self.n, device.real)
        self.accelerate()

    def accelerate(self):
        self.device.run("accelerate", self.n, self.bodies, self.acceleration, np.uint32(self.n), self.device.real(SOFTENING))

    def step(self, time):
        whole, half = self.device.real(time), self.device.real(time / 2)
        self.device.run("kick", self.n, self.velocities, self.acceleration, half)
        self.device.run("drift", self.n, self.bodies, self.velocities, whole)
        self.accelerate()
        self.device.run("kick", self.n, self.velocities, self.acceleration, half)

    def energy(self):
        self.device.run("energy", self.n, self.bodies, self.velocities, self.part, np.uint32(self.n), self.device.real(SOFTENING))
        return self.device.read(self.part, self.n, self.device.real).sum(dtype=np.float64)

    def places(self):
        return self.device.read(self.bodies, (self.n, 4), self.device.real)


def follow(device, bodies, velocities, steps, time):
    """Lets the cluster live; (energies, one for each 8 steps, the bodies at the end)."""
    cluster = Cluster(device, bodies, velocities)
    energies = [cluster.energy()]
    for step in range(1, steps + 1):
        cluster.step(time)
        if step % 8 == 0:
            energies.append(cluster.energy())
    return np.array(energies), cluster.places()


def waves(n, time):
    """The exact temperatures after that time (conductivity 1, square of side 1)."""
    x = np.linspace(0, 1, n)
    return sum(height * np.exp(-(a * a + b * b) * np.pi**2 * time) * np.outer(np.sin(b * np.pi * x), np.sin(a * np.pi * x))
               for a, b, height in MODES)


def cool(device, n, time):
    """Temperatures on n × n points after that time, step by step."""
    # Grids of 2^k + 1 points make this a whole number of steps.
    steps = round(time * (n - 1) ** 2 / RATIO)
    now = device.buffer(waves(n, 0).astype(device.real))
    then = device.empty((n, n), device.real)
    for _ in range(steps):
        device.run("heat", (n, n), now, then, device.real(RATIO))
        now, then = then, now
    return device.read(now, (n, n), device.real), steps * RATIO / (n - 1) ** 2


def draw(file, start, end, drifts, grids, errors, field):
    plot = gpu.charts()
    figure, ((bodies, energy), (heat, error)) = plot.subplots(2, 2, figsize=(8, 6.4), dpi=80)
    bodies.scatter(start[:, 0], start[:, 1], s=1, color="#bbbbbb", label="start")
    bodies.scatter(end[:, 0], end[:, 1], s=1, color="#1f5fbf", label="end")
    bodies.set(title=f"{len(start)} bodies", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    bodies.legend(markerscale=6, loc="upper right", fontsize=8)
    for time, energies in drifts:
        energy.plot(np.arange(1, len(energies)) * 8 * time, abs(energies[1:] / energies[0] - 1), label=f"step 1/{round(1 / time)}")
    energy.set(title="energy: relative error", xlabel="time", yscale="log", ylim=(1e-8, 1e-3))
    energy.legend(fontsize=8)
    x = np.linspace(0, 1, len(field))
    heat.plot(x, waves(len(field), 0)[len(x) // 4], color="#bbbbbb", label="start")
    heat.plot(x, waves(len(field), 1 / 64)[len(x) // 4], color="#1f5fbf", label="formula")
    heat.plot(x[::8], field[len(x) // 4, ::8], "o", ms=3, color="#d1495b", label="steps")
    heat.set(title="heat along y = 1/4", xlabel="x")
    heat.legend(fontsize=8)
    error.loglog(grids, errors, "o-", color="#d1495b", label="largest error")
    error.loglog(grids, errors[0] * (grids[0] / np.array(grids)) ** 2, "--", color="#888888", label="1 / grid²")
    error.minorticks_off()
    error.set(title="heat: error against the formula", xlabel="points along a side", xticks=grids, xticklabels=grids)
    error.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = gpu.options(__doc__)
    parser.add_argument("--bodies", type=int, default=1024, metavar="N")
    parser.add_argument("--steps", type=int, default=128, metavar="N", help="of 1/32 (256 of 1/64 …); default 128")
    option = parser.parse_args()
    if option.bodies < 2 or option.steps < 8:
        parser.error("--bodies wants at least 2, --steps at least 8")
    device = gpu.Gpu(__file__, "science.cl")
    bodies, velocities = plummer(option.bodies, seed=1)

    drifts = []
    for finer in (1, 2):
        time = 1 / 32 / finer
        energies, end = follow(device, bodies, velocities, option.steps * finer, time)
        drifts.append((time, energies))
        print(f"{option.bodies} bodies, step 1/{32 * finer}: energy {energies[0]:.6f}, off by at most "
              f"{max(abs(energies / energies[0] - 1)):.2e} of it")
    grids, errors = (17, 33, 65, 129), []
    for n in grids:
        field, time = cool(device, n, 1 / 64)
        errors.append(abs(field - waves(n, time)).max())
        print(f"heat on {n} × {n} points: off by at most {errors[-1]:.2e}")

    if option.picture:
        draw(option.picture, bodies, end, drifts, grids, errors, field)
    if option.results:
        np.savez(option.results, bodies=bodies, velocities=velocities, end=end, steps=option.steps * 2, time=1 / 64, softening=SOFTENING,
                 energy=drifts[0][1], energy_finer=drifts[1][1], grids=grids, errors=errors, field=field, ratio=RATIO)
    cluster = Cluster(device, bodies, velocities)
    device.repeat(option.seconds, lambda: cluster.step(1 / 64))


if __name__ == "__main__":
    main()
