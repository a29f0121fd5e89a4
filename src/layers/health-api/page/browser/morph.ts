/** Makes one tree of elements equal to another and keeps what is equal already: focus, selection and scrolling stay. */
export const morph = (from: Element, to: Element): void => {
  for (const name of from.getAttributeNames()) if (!to.hasAttribute(name)) from.removeAttribute(name)
  for (const name of to.getAttributeNames()) {
    const value = to.getAttribute(name)!
    if (from.getAttribute(name) !== value) from.setAttribute(name, value)
  }
  // What is moved over leaves the list.
  const wanted = [...to.childNodes]
  for (const [index, child] of wanted.entries()) {
    const old = from.childNodes[index]
    if (old === undefined) from.append(child)
    else if (old instanceof Element && child instanceof Element && old.tagName === child.tagName) morph(old, child)
    else if (old instanceof Text && child instanceof Text) {
      if (old.data !== child.data) old.data = child.data
    } else old.replaceWith(child)
  }
  while (from.childNodes.length > wanted.length) from.lastChild!.remove()
}
