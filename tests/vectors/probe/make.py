"""Reference values of models/train/src/probe: scikit-learn 1.9.1's LogisticRegression. Prints JSON."""
import json
import numpy as np
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(11)
n, d = 90, 5
X = np.round(rng.normal(size=(n, d)) * [1, 3, 0.2, 1, 1] + [0, 1, 0, 2, 0], 4)
k = np.argmax(X @ rng.normal(size=(d, 3)) * 0.5 + rng.gumbel(size=(n, 3)), 1)
y = (X[:, 0] - 0.3 * X[:, 1] + rng.logistic(size=n) > 0).astype(int)
known = rng.random(n) < 0.7


def fit(X, y, C, weight):
    m = LogisticRegression(C=C, class_weight=weight, tol=1e-12, max_iter=20000).fit(X, y)
    return {"C": C, "balanced": weight is not None, "coefficients": m.coef_.tolist(), "intercepts": m.intercept_.tolist(),
            "first_probabilities": m.predict_proba(X[:3]).tolist()}


print(json.dumps({
    "features": X.tolist(), "binary": y.tolist(), "classes": k.tolist(), "known": known.tolist(),
    "binary_fits": [fit(X, y, 0.5, None), fit(X, y, 0.02, "balanced"), fit(X, y, 100.0, None)],
    "class_fits": [fit(X, k, 2.0, None), fit(X, k, 0.1, "balanced")],
    "masked_fit": fit(X[known], y[known], 0.7, "balanced"),
}))
