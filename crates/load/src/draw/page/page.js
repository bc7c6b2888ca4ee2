
(() => {
  const tip = document.createElement('div');
  tip.id = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  for (const title of document.querySelectorAll('svg title')) {
    title.parentNode.dataset.tip = title.textContent;
    title.parentNode.setAttribute('aria-label', title.textContent);
    title.remove();
  }
  const show = event => {
    const over = event.target.closest && event.target.closest('[data-tip]');
    tip.hidden = !over;
    if (!over) return;
    tip.textContent = over.dataset.tip;
    const left = event.clientX - tip.offsetWidth / 2;
    tip.style.left = Math.max(4, Math.min(innerWidth - tip.offsetWidth - 4, left)) + 'px';
    tip.style.top = Math.max(4, event.clientY - tip.offsetHeight - 14) + 'px';
  };
  addEventListener('pointermove', show);
  addEventListener('pointerdown', show);
  addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
})();
