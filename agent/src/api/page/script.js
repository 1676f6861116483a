'use strict'
// The tables are put in place of the old ones, and the page is not loaded anew: so what was typed, opened or chosen stays.
const every = 5000
const parts = document.querySelector('main')
const away = document.getElementById('away')

async function renew() {
  // A selection would be lost, and nobody looks at a hidden page.
  if (!document.hidden && getSelection().type !== 'Range') {
    try {
      const answer = await fetch('/', { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(every) })
      if (!answer.ok) throw new Error(`${answer.status}`)
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main')
      for (const opened of parts.querySelectorAll('details[open]')) next.querySelector('#' + CSS.escape(opened.id))?.setAttribute('open', '')
      parts.replaceChildren(...next.childNodes)
      away.hidden = true
    } catch {
      away.hidden = false
    }
  }
  setTimeout(renew, every)
}
setTimeout(renew, every)

// Lines as they are read. Who is not trusted has no form.
const form = document.forms.look
const lines = document.getElementById('lines')
const kept = 500
let source, waiting = []

function show(name, text, colour) {
  if (waiting.length === 0) requestAnimationFrame(write)
  waiting.push([name, text, colour])
}

function write() {
  const follows = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40
  for (const [name, text, colour] of waiting.slice(-kept)) {
    const line = document.createElement('div'), from = document.createElement('b')
    from.textContent = name
    line.className = colour
    line.append(from, text)
    lines.append(line)
  }
  waiting = []
  while (lines.childElementCount > kept) lines.firstChild.remove()
  if (follows) lines.scrollTop = lines.scrollHeight
}

function look(event) {
  event?.preventDefault()
  end()
  lines.replaceChildren()
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value))
  history.replaceState(null, '', '/?look&' + asked)
  source = new EventSource('/logs?' + asked)
  source.onmessage = ({ data }) => {
    const line = JSON.parse(data)
    show(line.container.name, line.message, line.stream === 'stderr' ? 'red' : '')
  }
  source.addEventListener('skipped', ({ data }) => show('elkhound', `${data} lines were left out here, for they came too fast`, 'dim'))
  // The browser connects anew by itself, unless it was told to go away.
  source.onerror = () => { if (source?.readyState === EventSource.CLOSED) show('elkhound', 'lines are not shown; too many look at them already', 'yellow') }
  form.end.hidden = false
}

function end() {
  source?.close()
  source = undefined
  form.end.hidden = true
}

if (form) {
  form.addEventListener('submit', look)
  form.end.addEventListener('click', end)
  const asked = new URLSearchParams(location.search)
  for (const [name, value] of asked) if (form.elements[name]) form.elements[name].value = value
  if (asked.has('look')) look()
}
