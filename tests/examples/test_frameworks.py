#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples against scikit-learn and scipy, on scikit-learn's samples, and the charts that matplotlib draws of them. Exit 77: not all of these are
installed (tools/install-deps --frameworks)."""
import os
import sys

from example import EXAMPLES, ExampleTest, has, main, np

sys.path[:0] = [os.path.join(EXAMPLES, "learning")]
import learning  # noqa: E402
from test_learning import assert_learnt  # noqa: E402


class Frameworks(ExampleTest):
    def test_data_as_scikit_learn_has_it(self):
        from sklearn.cluster import KMeans
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LinearRegression
        from sklearn.preprocessing import StandardScaler
        samples, target = load_breast_cancer(return_X_y=True)
        samples = StandardScaler().fit_transform(samples)
        for k in (2, 5):
            found = self.run_example("data", "data.py", "--groups", k)[1]
            np.testing.assert_allclose(found["samples"], samples, atol=1e-9)
            known = KMeans(k, init=samples[np.arange(k) * len(samples) // k], n_init=1, tol=0, algorithm="lloyd").fit(samples)
            np.testing.assert_array_equal(found["labels"], known.labels_)
            np.testing.assert_allclose(found["centres"], known.cluster_centers_, atol=1e-9)
            self.assertAlmostEqual(float(found["inertia"]), known.inertia_, 6)
        line = LinearRegression().fit(samples, target)
        np.testing.assert_allclose(found["weights"], line.coef_, rtol=1e-7)
        self.assertAlmostEqual(float(found["rest"]), line.intercept_, 9)

    def test_learning_learns_what_scikit_learn_learns(self):
        from sklearn.datasets import load_digits
        from sklearn.neural_network import MLPClassifier
        found = self.run_example("learning", "learning.py", "--epochs", 10)[1]
        seen, (pixels, digits) = int(found["seen"]), load_digits(return_X_y=True)
        pixels = pixels / 16
        network = MLPClassifier((learning.HIDDEN,), solver="sgd", alpha=0, batch_size=learning.BATCH, learning_rate_init=learning.RATE, shuffle=False,
                                momentum=learning.MOMENTUM, nesterovs_momentum=False)
        network.partial_fit(pixels[:seen], digits[:seen], range(10))  # makes the arrays, which then begin as ours do
        for i, layer in enumerate(learning.beginning(64, seed=1)):
            network.coefs_[i][...], network.intercepts_[i][...] = layer[:, :-1].T, layer[:, -1]
        for velocity in network._optimizer.velocities:
            velocity[...] = 0
        for _ in range(10):
            network.partial_fit(pixels[:seen], digits[:seen])
        layers = [np.column_stack([coefs.T, bias]) for coefs, bias in zip(network.coefs_, network.intercepts_)]
        assert_learnt(found, layers, network.loss_curve_[-10:], 1e-3)
        right = (found["answers"] == digits[seen:]).mean()
        self.assertAlmostEqual(right, network.score(pixels[seen:], digits[seen:]), delta=0.006)
        self.assertGreater(right, 0.88)

    def test_vision_as_scipy_has_it(self):
        from scipy import ndimage
        found = self.run_example("vision", "vision.py")[1]
        known = np.stack([ndimage.gaussian_filter(found["photo"][:, :, c].astype(float), 2, mode="nearest") for c in range(3)], 2)
        np.testing.assert_allclose(found["blurred"], known, atol=2e-3)
        for name, axis in (("right", 1), ("below", 0)):
            np.testing.assert_allclose(found[name], ndimage.sobel(found["grey"], axis, mode="nearest"), atol=2e-3)

    def test_charts(self):
        for field, options in (("data", ()), ("finance", ()), ("learning", ("--epochs", 1)), ("science", ("--bodies", 16, "--steps", 8))):
            self.run_example(field, field + ".py", *options, "--picture", self.path("chart.png"))
            pixels = self.picture("chart.png")
            self.assertEqual(pixels.shape[1], 640)
            self.assertGreater(len(np.unique(pixels.reshape(-1, 3), axis=0)), 50)
            os.unlink(self.path("chart.png"))


if __name__ == "__main__":
    missing = [module for module in ("matplotlib", "scipy", "sklearn") if not has(module)]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed for {sys.executable}; tools/install-deps --frameworks: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    main()
