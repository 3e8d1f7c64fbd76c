import{a,b}from"./chunk-IIOM2CWB.js";import"./chunk-ZSU3D5Z6.js";export{b as remember,a as showRecent};
