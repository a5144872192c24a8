// Before anything is painted: the theme that was chosen, if one was. Not a module, because modules wait for the page.
{
  const chosen = localStorage.getItem('kiln.theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
}
