# Terminal 1
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy"}'

# Terminal 2 (immediately)
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy"}'

# Expected: Terminal 2 returns 409 Conflict
