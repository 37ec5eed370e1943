# Start sync (will timeout if page has many conversations)
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy"}'

# Response will include resumeSession if partial:
# { "hasMore": true, "resumeSession": "uuid-here" }

# Resume sync
curl -X POST http://localhost:3000/api/conversations/sync-fixed \
  -H "Content-Type: application/json" \
  -d '{"pageId":"xxx","facebookPageId":"yyy","resumeSession":"uuid-from-above"}'
