# Terminal 1: Start sync
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy"}'

# Terminal 2: Try concurrent sync (should fail with 409)
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy"}'

# Expected: {"error":"Sync already in progress for this page. Please wait for it to complete."}
