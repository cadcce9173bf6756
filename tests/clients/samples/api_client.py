import os
import requests

API_KEY = os.environ.get('API_KEY')
BASE_URL = 'https://api.example.com/v1'

class APIClient:
    def __init__(self, api_key):
        self.api_key = api_key
        self.base_url = BASE_URL
        self.session = requests.Session()
        self.session.headers.update({
            'Authorization': f'Bearer {api_key}',
            'Content-Type': 'application/json'
        })
    
    def get_user(self, user_id):
        response = self.session.get(f'{self.base_url}/users/{user_id}')
        response.raise_for_status()
        return response.json()

# Usage
client = APIClient(API_KEY)
user = client.get_user('123')
print(user)
