# Test with valid API key
curl -H "Authorization: Bearer YOUR_API_KEY" \
  https://api.example.com/v1/users/me

# Expected: 200 OK with user data

# Test with invalid API key
curl -H "Authorization: Bearer INVALID_KEY" \
  https://api.example.com/v1/users/me

# Expected: 401 Unauthorized
