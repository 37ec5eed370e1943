const response = await fetch('/api/conversations/sync-fixed', {
  method: 'POST',
  body: JSON.stringify({ 
    pageId, 
    facebookPageId,
    resumeSession: null // or previous session ID
  })
});

const result = await response.json();

// Handle partial sync with resumption
if (result.hasMore) {
  console.log('Partial sync, can resume with:', result.resumeSession);
  // Option 1: Auto-resume
  // Option 2: Show "Resume Sync" button
}
