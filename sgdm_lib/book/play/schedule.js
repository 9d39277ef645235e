// Schedule -> bounds T2, T3, T3Q at L = 1, Delta = 1; as sgdm_lib.theory.guarantees.
const STEPS = 2000;
const STAGES = 10;

const schedule = (shape, first, growth) => Array.from({ length: STEPS }, (_, t) => {
  const stage = Math.floor(t * STAGES / STEPS);
  switch (shape) {
    case "cosine": return first * (1 + Math.cos(Math.PI * t / STEPS)) / 2;
    case "linear decay": return first * (1 - t / STEPS);
    case "1/sqrt(t)": return first / Math.sqrt(1 + t);
    case "stages": return first * growth ** stage;
    case "linear growth": return first * (1 + (growth - 1) * t * STAGES / STEPS);
    default: return first;
  }
});

const lookAhead = (lr, beta) => {
  const out = new Array(lr.length);
  let next = lr[lr.length - 1];
  for (let t = lr.length - 1; t >= 0; t -= 1) {
    next = (1 - beta) * lr[t] + beta * next;
    out[t] = next;
  }
  return out;
};

const running = (lead, noise, weights) => {
  let [above, below, best] = [lead, 0, Infinity];
  return weights.map((weight, t) => {
    above += noise[t];
    below += weight;
    best = Math.min(best, below > 0 ? above / below : Infinity);
    return best;
  });
};

const t2 = (lr, beta, noise) => {
  const bar = lookAhead(lr, beta);
  const q = beta / Math.SQRT2;
  let [drag, echo, worst] = [0, 0, Infinity];
  const [weights, charged] = [new Array(STEPS), new Array(STEPS)];
  for (let t = STEPS - 1; t >= 0; t -= 1) {
    const square = bar[t] * bar[t];
    weights[t] = bar[t] - square / 2 - q * square / (1 - beta) - q * drag;
    charged[t] = (square / 2 + q * (1 - beta) * echo) * noise[t];
    worst = Math.min(worst, weights[t] / bar[t]);
    drag = square + beta * drag;
    echo = square + beta * beta * echo;
  }
  if (worst < 0) return { why: "learning rate too large: a weight A is negative" };
  return { bound: running(1, charged, weights) };
};

const t3 = (lr, beta, noise) => {
  for (let t = 0; t + 1 < STEPS; t += 1) {
    if (beta * beta * lr[t + 1] > lr[t] * (1 - (1 - beta) * lr[t]) * (1 + 1e-12)) {
      const grows = lr[t + 1] > lr[t];
      return { why: grows ? `grows too fast at step ${t + 1}` : "learning rate too large" };
    }
  }
  if ((1 - beta) * lr[STEPS - 1] > 1) return { why: "last learning rate too large" };
  return { bound: running(2 / (1 - beta), lr.map((eta, t) => eta * noise[t]), lr) };
};

const t3q = (lr, beta, noise) => {
  const rise = lr.findIndex((eta, t) => t > 0 && eta > lr[t - 1] * (1 + 1e-12));
  if (rise > 0) return { why: `learning rate grows at step ${rise}` };
  if (lr[0] >= 2) return { why: "learning rate is not below 2/L" };
  const q = 2 * beta + (1 - beta) / (1 - lr[0] / 2);
  const charged = lr.map((eta, t) => (q - 1) * eta * noise[t]);
  return { bound: running(q / (1 - beta), charged, lr) };
};

start(() => {
  const [beta, variance] = [read("momentum"), read("variance")];
  const lr = schedule(read("lr_shape"), read("lr"), read("lr_growth"));
  const sizes = schedule(read("batch_shape"), read("batch"), read("batch_growth"));
  control("lr_growth").disabled = read("lr_shape") !== "stages";
  control("batch_growth").disabled = read("batch_shape") === "constant";
  const noise = sizes.map((b) => variance / b);
  const found = { T2: t2(lr, beta, noise), T3: t3(lr, beta, noise), T3Q: t3q(lr, beta, noise) };

  show("sfo", sizes.reduce((sum, b) => sum + b, 0));
  for (const [name, { bound, why }] of Object.entries(found)) {
    const last = bound ? bound[STEPS - 1] : NaN;
    show(name, last, bound ? digits(last) : `does not apply: ${why}`);
  }

  const [top, low] = [Math.max(...lr, ...sizes.map((b) => b / 1e4)), Math.min(...lr.slice(0, -20))];
  const least = Math.min(low, ...sizes.map((b) => b / 1e4));
  const inputs = panel("inputs", {
    title: "learning rate, batch size / 10,000", xLabel: "steps", x: [0, STEPS],
    y: [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(top * 1.001))], logY: true,
  });
  inputs.line(lr.map((eta, t) => [t, eta]), "one");
  inputs.line(sizes.map((b, t) => [t, b / 1e4]), "two");
  inputs.describe(`${read("lr_shape")} learning rate (solid) and ${read("batch_shape")} batch size (dashed).`);

  const finite = Object.values(found).flatMap(({ bound }) => (bound ? [bound[9], bound[STEPS - 1]] : []));
  const [high, deep] = finite.length ? [Math.max(...finite), Math.min(...finite)] : [10, 0.1];
  const bounds = panel("bounds", {
    title: "bound on the least squared norm", xLabel: "steps T", x: [10, STEPS],
    y: [10 ** Math.floor(Math.log10(deep)), 10 ** Math.ceil(Math.log10(high * 1.001))],
    logX: true, logY: true,
  });
  Object.entries(found).forEach(([, { bound }], i) => {
    if (bound) bounds.line(bound.map((v, t) => [t + 1, v]), ["one", "two", "three"][i]);
  });
  const told = Object.entries(found).map(([name, { bound, why }]) => (
    bound ? `${name} ends at ${digits(bound[STEPS - 1])}` : `${name} ${why}`
  ));
  bounds.describe(`Bounds against steps: ${told.join("; ")}.`);
});
