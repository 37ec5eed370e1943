// In browser console
const start = Date.now();
fetch('/api/conversations/sync', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({
    pageId: 'your-page-id',
    facebookPageId: 'facebook-page-id'
  })
})
.then(r => r.json())
.then(data => {
  const duration = (Date.now() - start) / 1000;
  console.log('Synced:', data.synced, 'in', duration, 'seconds');
  console.log('Speed:', (data.synced / duration).toFixed(1), 'conversations/sec');
});
