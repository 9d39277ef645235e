// Momentum on f(x) = (x1^2 + x2^2 / kappa) / 2 without noise; as sgdm_lib.theory.dynamics.
const STEPS = 100;

const radius = (h, beta, nu) => {
  const trace = 1 + beta - h * (1 - nu * beta);
  const det = beta * (1 - h * (1 - nu));
  const gap = trace * trace - 4 * det;
  if (gap < 0) return Math.sqrt(Math.max(det, 0));
  return (Math.abs(trace) + Math.sqrt(gap)) / 2;
};

const walk = (curvatures, lr, beta, nu, gain) => {
  const at = curvatures.map(() => 1);
  const buffer = curvatures.map(() => 0);
  const path = [at.slice()];
  for (let t = 0; t < STEPS; t += 1) {
    curvatures.forEach((curvature, i) => {
      const gradient = curvature * at[i];
      buffer[i] = beta * buffer[i] + gain * gradient;
      at[i] -= lr * ((1 - nu) * gradient + nu * buffer[i]);
    });
    path.push(at.slice());
  }
  return path;
};

start(() => {
  const optimizer = read("optimizer");
  const [lr, beta, kappa] = [read("lr"), read("momentum"), read("condition")];
  const nu = optimizer === "QHM" ? read("nu") : 1;
  const unit = optimizer === "SHB" ? 1 - beta : 1;
  const gain = optimizer === "SHB" ? 1 : 1 - beta;
  control("nu").disabled = optimizer !== "QHM";
  const curvatures = [1, 1 / kappa];
  const rate = lr / unit;
  const radii = curvatures.map((curvature) => radius(curvature * rate, beta, nu));
  const limit = unit * 2 * (1 + beta) / (1 + beta - 2 * nu * beta);
  const path = walk(curvatures, lr, beta, nu, gain);
  const value = ([a, b]) => (curvatures[0] * a * a + curvatures[1] * b * b) / 2;
  const values = path.map(value);

  show("effective", rate);
  show("radius_steep", radii[0]);
  show("radius_flat", radii[1]);
  show("limit", limit);
  show("remaining", values[STEPS] / values[0]);
  const slowest = Math.max(...radii);
  const trace = 1 + beta - rate * (1 - nu * beta);
  const det = beta * (1 - rate * (1 - nu));
  let verdict = "steep direction: straight to the minimum";
  if (trace * trace < 4 * det) verdict = "steep direction: oscillates";
  else if (trace < 0) verdict = "steep direction: jumps from side to side";
  if (lr >= limit) verdict = "unstable: the steep direction diverges";
  show("verdict", slowest, verdict);

  const plane = panel("plane", {
    title: "path in the plane", xLabel: "steep direction", x: [-1.4, 1.4], y: [-1.4, 1.4],
  });
  for (const level of [0.04, 0.16, 0.36, 0.64, 1]) {
    const height = level * value([1, 1]);
    const [a, b] = curvatures.map((curvature) => Math.sqrt(2 * height / curvature));
    plane.svg.append(element("ellipse", {
      cx: plane.atX(0), cy: plane.atY(0), rx: plane.atX(a) - plane.atX(0),
      ry: plane.atY(0) - plane.atY(b), class: "contour", "clip-path": `url(#${plane.clip})`,
    }));
  }
  plane.line(path, "one");
  path.slice(0, 40).forEach(([a, b]) => {
    if (Math.max(Math.abs(a), Math.abs(b)) > 1.4) return;
    plane.svg.append(element("circle", { cx: plane.atX(a), cy: plane.atY(b), r: 2.4, class: "dot" }));
  });
  plane.describe(`Path of ${optimizer} in the plane; ${verdict}.`);

  const curve = panel("curve", {
    title: "f relative to the start", xLabel: "steps", x: [0, STEPS], y: [1e-8, 1e2], logY: true,
  });
  curve.line(values.map((v, t) => [t, v / values[0]]), "one");
  curve.line(values.map((_, t) => [t, slowest ** (2 * t)]), "two");
  curve.describe(
    `f after ${STEPS} steps is ${digits(values[STEPS] / values[0])} times its first value; `
    + `the dashed line is the rate of the slower direction, ${digits(slowest)} a step.`,
  );
});
