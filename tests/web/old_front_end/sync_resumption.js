// Start sync
const sync1 = await fetch('/api/conversations/sync-fixed', {
  method: 'POST',
  body: JSON.stringify({ pageId, facebookPageId })
});
const result1 = await sync1.json();

// If partial sync
if (result1.hasMore) {
  // Resume sync
  const sync2 = await fetch('/api/conversations/sync-fixed', {
    method: 'POST',
    body: JSON.stringify({ 
      pageId, 
      facebookPageId,
      resumeSession: result1.resumeSession 
    })
  });
  const result2 = await sync2.json();
  console.log('Resumed:', result2);
}
