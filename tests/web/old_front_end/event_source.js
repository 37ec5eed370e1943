// In browser console
const eventSource = new EventSource('/api/conversations/sync-stream');
eventSource.onmessage = (e) => {
  const data = JSON.parse(e.data);
  console.log('Progress:', data);
};
