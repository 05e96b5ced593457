'use strict';
// A line chart over time: SVG, drawn anew for each update. No library.
//
//   const chart = new Chart(figure, {title, format, log});
//   chart.show({from, to, series: [{name, css, times, values}]})   // values may be null

const SVG = 'http://www.w3.org/2000/svg';

function element(name, attributes, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) out.setAttribute(key, value);
  out.append(...children);
  return out;
}

function shape(name, attributes, text) {
  const out = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
  if (text !== undefined) out.textContent = text;
  return out;
}

// The least 1, 2 or 5 times a power of ten that is not below `value`; where
// `thousand` is 1024, of that power of 1024 which `value` is counted in.
function niceCeil(value, thousand) {
  const unit = thousand ? Math.pow(thousand, Math.max(0, Math.floor(Math.log(value) / Math.log(thousand)))) : 1;
  const power = Math.pow(10, Math.floor(Math.log10(value / unit))) * unit;
  for (const step of [1, 2, 5]) if (step * power >= value * 0.999999) return step * power;
  return 10 * power;
}

class Chart {
  constructor(figure, options) {
    this.options = options;
    this.legend = element('span', {class: 'legend'});
    this.caption = element('figcaption', {}, element('strong', {}, options.title));
    if (options.control) this.caption.append(options.control);
    this.caption.append(this.legend);
    this.svg = shape('svg', {role: 'img', 'aria-label': options.title + ', over the last minutes'});
    figure.append(this.caption, this.svg);
    this.data = null;
    this.at = null;  // the time under the pointer
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.svg.addEventListener('pointermove', (event) => {
      const box = this.svg.getBoundingClientRect();
      this.at = this.timeAt(event.clientX - box.left);
      this.draw();
    });
    this.svg.addEventListener('pointerleave', () => { this.at = null; this.draw(); });
  }

  show(data) {
    this.data = data;
    this.draw();
  }

  timeAt(x) {
    if (!this.data || !this.left) return null;
    const share = (x - this.left) / (this.right - this.left);
    return this.data.from + Math.min(Math.max(share, 0), 1) * (this.data.to - this.data.from);
  }

  // The scale of the values: {low, high, ticks, y}, y from 0 (low) to 1 (high).
  scale() {
    let least = Infinity, most = 0;
    for (const series of this.data.series) {
      for (const value of series.values) {
        if (value === null) continue;
        most = Math.max(most, value);
        if (value > 0) least = Math.min(least, value);
      }
    }
    if (this.options.log) {
      if (!most) { least = 1e-6; most = 1e-3; }
      let low = Math.floor(Math.log10(least)), high = Math.ceil(Math.log10(most));
      if (high - low < 2) high = low + 2;
      const ticks = [];
      for (let i = low; i <= high; i++) ticks.push(Math.pow(10, i));
      return {ticks, y: (v) => (Math.log10(Math.max(v, Math.pow(10, low))) - low) / (high - low)};
    }
    const step = niceCeil(Math.max(most, this.options.least || 1) / 4, this.options.thousand);
    const top = Math.max(1, Math.ceil(most / step - 1e-9)) * step;
    const ticks = [];
    for (let v = 0; v <= top * 1.000001; v += step) ticks.push(v);
    return {ticks, y: (v) => v / top};
  }

  draw() {
    const width = this.svg.clientWidth, height = this.svg.clientHeight;
    if (!this.data || !width) return;
    const {from, to, series} = this.data;
    const scale = this.scale();
    const labels = scale.ticks.map((t) => this.options.format(t));
    this.left = Math.max(...labels.map((l) => l.length)) * 6.6 + 10;
    this.right = width - 6;
    const top = 10, bottom = height - 22;
    const x = (t) => this.left + (t - from) / (to - from) * (this.right - this.left);
    const y = (v) => bottom - scale.y(v) * (bottom - top);
    const parts = [];
    scale.ticks.forEach((tick, i) => {
      parts.push(shape('line', {class: 'grid', x1: this.left, x2: this.right, y1: y(tick), y2: y(tick)}));
      parts.push(shape('text', {x: this.left - 7, y: y(tick) + 4, 'text-anchor': 'end'}, labels[i]));
    });
    // As many labels as have room.
    const room = (this.right - this.left) / 75;
    const step = [15, 30, 60, 120, 300].find((s) => (to - from) / 1000 / s <= room) || 300;
    for (let back = 0; back * 1000 <= to - from; back += step) {
      const text = back === 0 ? 'now' : back % 60 ? `−${back} s` : `−${back / 60} min`;
      parts.push(shape('text', {x: x(to - back * 1000), y: height - 5,
        'text-anchor': back === 0 ? 'end' : back * 1000 === to - from ? 'start' : 'middle'}, text));
    }
    let some = false;
    for (const s of series) {
      // Runs of values that are there; a lone one is a dot.
      let line = '', area = '', run = 0;
      s.values.forEach((value, i) => {
        if (value === null) { run = 0; return; }
        some = true;
        const px = x(s.times[i]).toFixed(1), py = y(value).toFixed(1);
        line += (run ? 'L' : 'M') + px + ' ' + py;
        if (!run && (i + 1 === s.values.length || s.values[i + 1] === null)) line += 'h0.1';
        area += (run ? 'L' : `M${px} ${bottom}L`) + px + ' ' + py;
        if (i + 1 === s.values.length || s.values[i + 1] === null) area += `V${bottom}Z`;
        run++;
      });
      if (!this.options.log && series.length < 3) parts.push(shape('path', {class: 'area ' + s.css, d: area}));
      parts.push(shape('path', {class: 'plot ' + s.css, d: line}));
    }
    if (!some) {
      parts.push(shape('text', {class: 'empty', x: (this.left + this.right) / 2, y: (top + bottom) / 2 + 4},
        this.options.empty || 'nothing yet'));
    }
    const shown = this.index();
    if (this.at !== null && shown >= 0) {
      const px = x(series[0].times[shown]);
      parts.push(shape('line', {class: 'cursor', x1: px, x2: px, y1: top, y2: bottom}));
    }
    this.svg.replaceChildren(...parts);
    this.showLegend(shown);
  }

  // Of the sample under the pointer, or the last one; -1 where there is none.
  index() {
    const times = this.data.series.length ? this.data.series[0].times : [];
    if (this.at === null) return times.length - 1;
    let best = -1;
    times.forEach((t, i) => {
      if (best < 0 || Math.abs(t - this.at) < Math.abs(times[best] - this.at)) best = i;
    });
    return best;
  }

  showLegend(index) {
    const items = this.data.series.map((s) => {
      const value = index < 0 || s.values[index] === null ? '–' : this.options.format(s.values[index]);
      return element('span', {}, element('i', {class: s.css}), s.name + ' ', element('b', {}, value));
    });
    if (this.at !== null && index >= 0) {
      items.push(element('span', {}, new Date(this.data.series[0].times[index]).toLocaleTimeString()));
    }
    this.legend.replaceChildren(...items);
  }
}
