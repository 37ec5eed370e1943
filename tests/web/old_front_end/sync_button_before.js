const response = await fetch('/api/conversations/sync', {
  method: 'POST',
  body: JSON.stringify({ pageId, facebookPageId })
});
