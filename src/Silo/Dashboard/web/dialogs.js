// Questions to the operator. Every action of this page asks first, says what will happen, and tells how it went.
import { el } from './dom.js';

const dialog = document.getElementById('dialog');
const toast = document.getElementById('toast');
let toastTimer = 0;

export function say(text) {
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, 6000);
}

/** Shows a form; gives its values, or null when it was closed. */
export function ask({ title, text, fields = [], confirm, danger = false }) {
  if (dialog.open) return Promise.resolve(null);
  return new Promise((resolve) => {
    const inputs = fields.map((field) => {
      const input = field.choices
        ? el('select', { name: field.name }, field.choices.map((choice) => el('option', { value: choice }, choice)))
        : el('input', {
          name: field.name, type: field.type ?? 'text', value: field.value ?? '', autocomplete: 'off',
          min: field.min, required: true,
        });
      return el('label', {}, el('span', {}, field.label), input);
    });
    const form = el('form', { method: 'dialog' },
      el('h2', { id: 'dialog-title' }, title),
      [text].flat().filter(Boolean).map((part) => (part instanceof Node ? part : el('p', {}, part))),
      inputs,
      el('div', { class: 'buttons' },
        el('button', { type: 'button', onclick: () => dialog.close('') }, confirm ? 'Cancel' : 'Close'),
        confirm && el('button', { type: 'submit', class: danger ? 'danger' : 'primary', value: 'yes' }, confirm)));
    dialog.replaceChildren(form);
    dialog.returnValue = '';
    dialog.addEventListener('close', () => {
      const values = Object.fromEntries(new FormData(form));
      resolve(dialog.returnValue === 'yes' ? values : null);
    }, { once: true });
    dialog.showModal();
    (form.querySelector('input, select') ?? form.querySelector('.buttons button:last-child')).focus();
  });
}

/** Asks, acts, tells. */
export async function act(question, run) {
  const values = await ask(question);
  if (values === null) return false;
  try {
    const answer = await run(values);
    say(answer?.started === false ? `Not done: ${answer.reason}` : `Done: ${question.title}`);
    return answer?.started !== false;
  } catch (error) {
    say(`Failed: ${error.message}`);
    return false;
  }
}
