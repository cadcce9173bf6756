const axios = require('axios');

const API_KEY = process.env.API_KEY;
const BASE_URL = 'https://api.example.com/v1';

const apiClient = axios.create({
  baseURL: BASE_URL,
  headers: {
    'Authorization': `Bearer ${API_KEY}`,
    'Content-Type': 'application/json'
  }
});

// Example: Get user data
async function getUser(userId) {
  try {
    const response = await apiClient.get(`/users/${userId}`);
    return response.data;
  } catch (error) {
    if (error.response.status === 401) {
      console.error('Authentication failed');
    }
    throw error;
  }
}
