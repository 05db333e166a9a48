"""Reference values of recalibration: scikit-learn's IsotonicRegression, _SigmoidCalibration and brier_score_loss. Prints JSON."""
import json
import numpy as np
import sklearn
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

rng = np.random.default_rng(7)


def draw(n):
    """Logits of three classes that are twice as sure as they may be, rounded so that some scores are equal."""
    z = np.round(rng.normal(size=(n, 3)) * 2.0, 1)
    c = np.array([rng.choice(3, p=p) for p in softmax(z / 2.0, axis=1)])
    return z, c


def odds(z):
    return np.stack([z[:, c] - logsumexp(np.delete(z, c, 1), axis=1) for c in range(3)], 1)


def ece(p, y, bins=15):
    """Equal bins over 0 to 1 with closed upper ends, the first one closed at both; each weighted by its share of the cases."""
    which = np.maximum(np.ceil(p * bins).astype(int) - 1, 0)
    return sum(abs(p[which == b].mean() - y[which == b].mean()) * (which == b).mean() for b in range(bins) if (which == b).any())


def figures(p, c):
    return {"ece": float(np.mean([ece(p[:, k], c == k) for k in range(3)])),
            "brier": float(np.mean([brier_score_loss(c == k, p[:, k]) for k in range(3)]))}


def against_rest(make):
    p = np.stack([make().fit(odds(fit_z)[:, k], fit_c == k).predict(odds(test_z)[:, k]) for k in range(3)], 1)
    return p / p.sum(1, keepdims=True)


fit_z, fit_c = draw(120)
test_z, test_c = draw(60)
t = minimize_scalar(lambda s: -log_softmax(fit_z * np.exp(-s), axis=1)[np.arange(len(fit_c)), fit_c].sum(), bounds=(-4, 4),
                    method="bounded", options={"xatol": 1e-10})
temperature = float(np.exp(t.x))
found = {"temperature": softmax(test_z / temperature, axis=1), "platt": against_rest(_SigmoidCalibration),
         "isotonic": against_rest(lambda: IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip"))}
print(json.dumps({"sklearn": sklearn.__version__, "fit_logits": fit_z.tolist(), "fit_classes": fit_c.tolist(),
                  "logits": test_z.tolist(), "classes": test_c.tolist(), "temperature": temperature,
                  "before": figures(softmax(test_z, axis=1), test_c),
                  "after": {k: figures(p, test_c) for k, p in found.items()},
                  "probabilities": {k: np.round(p, 9).tolist() for k, p in found.items()}}))
