import requests

headers = {
    'Authorization': 'Bearer YOUR_API_KEY'
}

response = requests.get('https://api.example.com/v1/users', headers=headers)
print(response.json())
