// Builds elements. Text is always set as text: nothing that a server sends is ever parsed as markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(node, attributes);
  node.append(...children.flat(Infinity));
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'width%') node.style.width = `${value}%`; // by script: the page's policy allows no style attribute
    else node.setAttribute(name, value === true ? '' : value);
  }
}

/** A table whose rows become cards on a narrow screen. Columns: {name, label, right, title, full, cell(row)}. */
export function table(columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'empty' }, empty);
  const head = el('tr', {}, columns.map((column) =>
    el('th', { class: column.right ? 'r' : null, scope: 'col' }, column.name)));
  const body = rows.map((row) => el('tr', { 'data-key': row.key ?? null }, columns.map((column) => {
    const names = [column.right && 'r', column.title && 'title', column.full && 'full'].filter(Boolean).join(' ');
    return el('td', { class: names || null, 'data-label': column.name }, column.cell(row));
  })));
  return el('table', { class: 'cards' }, el('thead', {}, head), el('tbody', {}, body));
}

/** Replaces what changed and leaves the rest alone, so that focus and selection survive the next second. */
export function update(target, ...nodes) {
  const focused = document.activeElement && target.contains(document.activeElement)
    ? document.activeElement.getAttribute('data-focus')
    : null;
  target.replaceChildren(...nodes.flat().filter(Boolean));
  if (focused) target.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

export function chip(text, tone = '') {
  return el('span', { class: `chip ${tone}` }, text);
}

/** A stacked bar: parts are [class, share 0..1]. */
export function bar(label, ...parts) {
  return el('div', { class: 'bar', role: 'img', 'aria-label': label, title: label },
    parts.filter(([, share]) => share > 0).map(([name, share]) => el('i', { class: name, 'width%': share * 100 })));
}
