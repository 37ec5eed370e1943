// Call new endpoint
const response = await fetch('/api/conversations/sync-fixed', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ 
    pageId: 'your-page-id',
    facebookPageId: 'your-facebook-page-id'
  })
});

const result = await response.json();
console.log(result);
// { success: true, synced: X, inserted: Y, ... }
