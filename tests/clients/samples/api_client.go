package main

import (
    "encoding/json"
    "fmt"
    "io/ioutil"
    "net/http"
    "os"
)

type APIClient struct {
    APIKey  string
    BaseURL string
}

func NewAPIClient() *APIClient {
    return &APIClient{
        APIKey:  os.Getenv("API_KEY"),
        BaseURL: "https://api.example.com/v1",
    }
}

func (c *APIClient) GetUser(userID string) (map[string]interface{}, error) {
    req, err := http.NewRequest("GET", c.BaseURL+"/users/"+userID, nil)
    if err != nil {
        return nil, err
    }
    
    req.Header.Set("Authorization", "Bearer "+c.APIKey)
    req.Header.Set("Content-Type", "application/json")
    
    client := &http.Client{}
    resp, err := client.Do(req)
    if err != nil {
        return nil, err
    }
    defer resp.Body.Close()
    
    body, err := ioutil.ReadAll(resp.Body)
    if err != nil {
        return nil, err
    }
    
    var result map[string]interface{}
    json.Unmarshal(body, &result)
    return result, nil
}
