# Send test webhook event
curl -X POST http://localhost:3000/api/webhook \
  -H "Content-Type: application/json" \
  -d '{
    "object": "page",
    "entry": [{
      "messaging": [{
        "sender": {"id": "test_user_id"},
        "recipient": {"id": "your_page_id"},
        "timestamp": 1234567890,
        "message": {"text": "Test message"}
      }]
    }]
  }'
